"""Labels, names, errors and numbers that are HTML: in a report they are text, in a browser nothing of them lives."""

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import yaml
from robustness.hostile import RUN, Attack, both, configured, table, write

from dlexp.runs.directory import RunDirectory

CANARY = "pwned_by_a_label"
HTML = (
    f"<script>window.{CANARY}=1</script>",
    f"<img src=x onerror='window.{CANARY}=1'>",
    f"</script><script>window.{CANARY}=1</script>",
    f"<!--<script>window.{CANARY}=1//-->",
    f"[x](javascript:window.{CANARY}=1)",
    f"<a href='javascript:window.{CANARY}=1'>x</a>",
    f"\"><svg onload='window.{CANARY}=1'>",
    f"<style>@import url(http://127.0.0.1:9/{CANARY})</style>",
    f"<b style='background:url(http://127.0.0.1:9/{CANARY})'>$x$",
    "{data}{script}{plotly}${HOME}`</title></textarea><iframe srcdoc='<script>top." + CANARY + "=1</script>'>",
)
Make = Callable[[Path], object]


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.found: set[tuple[str, ...]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, *(name for name, _ in attributes)))


def live(work: Path) -> str:
    """Say what of a report would live in a browser; '' where all is text."""
    report = work / "outputs" / "report"
    template = files("dlexp.report") / "web" / "page.html"
    page = (report / "index.html").read_text()
    if CANARY not in page:
        return "the page does not have the label at all"
    if more := Tags(page).found - Tags(template.read_text(encoding="utf-8")).found:
        return f"the page has {more}"
    words = (report / "report.md").read_text()
    if tags := Tags(words).found:
        return f"report.md has {tags}"
    if links := [to for to in re.findall(r"(?<!\\)\]\(([^)]*)\)", words) if not to.startswith("figures/")]:
        return f"report.md has links to {links}"
    return in_a_browser(report / "index.html")


def in_a_browser(page: Path) -> str:
    """Open the page, every run of it, where there is a browser; say what ran or was asked for."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return ""
    if chromium is None:
        return ""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened, wrong = browser.new_page(), list[str]()
        opened.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        opened.on("request", lambda request: None if request.url.startswith(("file:", "data:", "blob:"))
                  else wrong.append(request.url))  # fmt: skip
        opened.goto(page.absolute().as_uri())
        opened.wait_for_selector("#runs")
        for row in opened.locator("tr[data-run]").all():
            row.click()
        opened.wait_for_timeout(200)
        if opened.evaluate(f"'{CANARY}' in window"):
            wrong.append("a label's script ran")
        elements = opened.evaluate("[...document.querySelectorAll('iframe,object,embed,img')].map(e => e.outerHTML)")
        wrong += [each for each in elements if CANARY in each]
        browser.close()
    return "; ".join(wrong)


def changed(file: str, change: Callable[[dict[str, object]], object]) -> Make:
    """Return what changes one of the run's JSON files."""

    def lay_out(work: Path) -> None:
        run = RunDirectory(work / RUN)  # whoever is hostile seals what he writes
        content = run.read_json(file)
        change(content)
        run.write_json(file, content)

    return lay_out


def places(html: str) -> dict[str, Make]:
    """Where a report may take a text from."""
    header = f'true \\ predicted,"{html.replace(chr(34), chr(34) * 2)}",b\n'
    figures = {"test": {"accuracy": 0.5, html: 0.25}, html: {"loss": 1}}
    return {
        "a name": configured(name=html),
        "a value": configured(model={**MODEL, "activation": html, html: html}),
        "a key": both(configured(**{html: html}), other(**{html: "x"})),
        "an error": changed("status.json", lambda c: c.update(status="failed", error=html, traceback=html)),
        "a status": changed("status.json", lambda c: c.update(status=html)),
        "a command": changed("environment.json", lambda c: c.update(command=["dlexp", "train", html], torch=html)),
        "a metric": changed("result.json", lambda c: c.update(final=figures)),
        "a selected epoch": changed("result.json", lambda c: c.update(selected={"by": html, "epoch": html, html: 1})),
        "a class": table("confusion_matrix.csv", f"{header}a,1,2\nb,3,4\n"),
        "a column": table("metrics.csv", f"epoch,step,train/{CANARY}<script>,lr\n1,1,0.5,1\n"),
        "a reference": configured(reference=[{"test/accuracy": html}]),
        "a demonstration": both(write(f"{RUN}/demonstration.csv",
                                      f"statement,index,left,right,difference\n{CANARY},0,1,1,0\n"),
                            write(f"{RUN}/result.json", json.dumps(
                                {"status": "finished", "sides": [{"statement": html, "difference": 0}]}))),
        "a folder's name": moved(html),
    }  # fmt: skip


def other(**changes: object) -> Make:
    def lay_out(work: Path) -> None:
        path = (work / RUN).with_name("other") / "config.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))

    return lay_out


def moved(html: str) -> Make:
    return lambda work: (work / RUN).rename((work / RUN).with_name(html.replace("/", "∕")))


MODEL = {"name": "mlp", "hidden_sizes": [16], "batch_norm": False, "dropout": 0.0, "init": "default"}


def attacks() -> list[Attack]:
    """Return each place with another of the texts, and one with every text in every place that goes together."""
    found = []
    for i, place in enumerate(places("")):
        for html in (HTML[i % len(HTML)], HTML[(i + 3) % len(HTML)]):
            found.append(Attack(f"HTML in {place}: {html}", (["report"],), places(html)[place], codes=(0,), look=live))
    together = [places(html) for html in HTML]
    names = [each for each in places("") if each not in ("a demonstration", "a folder's name")]
    steps = [together[i % len(HTML)][name] for i, name in enumerate(names)]
    return [*found, Attack("HTML everywhere", (["report"],), both(*steps), codes=(0,), look=live)]
