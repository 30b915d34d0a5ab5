"""The report's page in a real browser, from disk, with the network off."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import start, train
from test_figures import STOPS_EARLY, best_and_last
from test_report import HOSTILE, REPORT, runs, study

from dlexp.report import paper
from dlexp.report.write import write

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed to open the page in")


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: "playwright.Browser") -> Iterator["playwright.Page"]:
    """A page that fails its test if it logs an error, throws, or opens a dialog."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, offline=True)
    opened, wrong = context.new_page(), list[str]()
    opened.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    yield opened
    assert not wrong
    context.close()


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write no pictures: drawing them takes longer than testing the page."""
    monkeypatch.setattr(paper, "figures", lambda study: {})


def show(page: "playwright.Page", name: str = "") -> None:
    page.goto((REPORT / "index.html").absolute().as_uri() + (f"#{name}" if name else ""))
    page.wait_for_selector("#runs")


def traces(page: "playwright.Page", plot: str) -> list[dict[str, object]]:
    read = "name => document.querySelector(`[data-plot='${name}']`).data.map(({name, x, y}) => ({name, x, y}))"
    return list(page.evaluate(read, plot))


def test_runs_are_sorted_filtered_and_drawn(page: "playwright.Page") -> None:
    made = study()
    write(runs, REPORT)
    show(page)
    assert page.locator("tbody tr[data-run]").count() == 6
    page.locator("#runs").get_by_role("button", name="test accuracy").click()
    column = page.locator("#runs thead th").all_inner_texts().index("test accuracy")
    shown = [float(row.locator("td").nth(column).inner_text()) for row in page.locator("tbody tr[data-run]").all()]
    measured = [run.read_json("result.json")["final"]["test"]["accuracy"] for run in made]
    assert shown == pytest.approx(sorted(measured, reverse=True), abs=1e-4)
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("test accuracy")
    page.get_by_label("each run").check()
    assert len(traces(page, "curve-accuracy")) == 12, "train and test of six runs"
    page.locator("#runs").get_by_label("model.activation", exact=True).select_option("tanh")
    assert page.locator("tbody tr[data-run]").count() == 3 and len(traces(page, "curve-accuracy")) == 6
    page.locator("tbody tr[data-run] input").first.uncheck()
    assert len(traces(page, "curve-accuracy")) == 4
    page.locator("#search").press_sequentially("seed 99")
    assert page.locator("tbody tr[data-run]").count() == 0


def test_curves_are_means_with_bands_and_show_values(page: "playwright.Page") -> None:
    made = study()
    write(runs, REPORT)
    show(page)
    relu = [run.read_table("metrics.csv") for run in made if run.read_config()["model"]["activation"] == "relu"]
    expected = [sum(rows[i]["test/accuracy"] for rows in relu) / 3 for i in range(3)]
    means = [trace for trace in traces(page, "curve-accuracy") if trace["name"] == "relu" and trace["x"] == [1, 2, 3]]
    assert any(mean["y"] == pytest.approx(expected, rel=1e-4) for mean in means)
    plot = page.locator("[data-plot='curve-accuracy']")
    plot.scroll_into_view_if_needed()
    point = plot.locator(".scatterlayer .trace path.point").last
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("[data-plot='curve-accuracy'] .hoverlayer .hovertext")
    text = plot.locator(".hoverlayer .hovertext").text_content()
    assert re.search(r"test accuracy 0\.\d+", text) and "n = 3" in text
    page.get_by_label("log scale").check()
    assert page.evaluate("document.querySelector(\"[data-plot='curve-loss']\").layout.yaxis.type") == "log"
    page.locator("#curves").get_by_label("Against").select_option("seconds")
    assert traces(page, "curve-loss")[-1]["x"][0] < 1


def test_curves_of_early_stopping_mark_the_best_and_the_last_epoch(page: "playwright.Page") -> None:
    expected = best_and_last(train(*STOPS_EARLY))
    write(runs, REPORT)
    show(page)
    for axis in ("epoch", "step"):
        page.locator("#curves").get_by_label("Against").select_option(axis)
        marks = {trace["name"]: trace["x"] for trace in traces(page, "curve-loss") if len(trace["x"]) == 1}
        steps = 1 if axis == "epoch" else 7  # 100 samples, of which 16 make a batch
        assert marks == {name: [epoch * steps] for name, epoch in expected.items()}


def test_the_page_shows_the_conclusions_of_compare_and_the_details_of_a_run(page: "playwright.Page") -> None:
    (first, *_) = study()
    findings = write(runs, REPORT)[0].comparisons["test/accuracy"].effects[0]
    show(page)
    assert findings.sentences[0] in page.locator("#findings").inner_text()
    best, estimate = next(iter(findings.settings.items()))
    assert best in page.locator(".card b").inner_text() and f"{estimate.mean:.4f}" in page.locator(".card").inner_text()
    page.locator(f"tr[data-run='{first.path}']").click()
    details = page.locator("#details").inner_text()
    assert f"dlexp train --config {first.path}/config.yaml" in details and "torch" in details
    page.locator("#confusion").get_by_label("minus").select_option(index=2)
    assert "blue on the diagonal" in page.locator("#confusion").inner_text()
    assert "Calibration error on test" in page.locator("#reliability").inner_text()
    assert page.locator("[data-plot=reliability] .scatterlayer .trace").count() == 2  # as given, and the diagonal
    assert page.locator("[data-plot=gradients]").count() == 1


def test_the_best_numeric_setting_comes_first(page: "playwright.Page") -> None:
    """JavaScript sorts an object's numeric keys; the page must keep the order of the means."""
    for size in (8, 64):
        for seed in (0, 1):
            train(f"batch_size={size}", f"seed={seed}", "epochs=6", "name=sizes", "optimizer.lr=0.01")
    best = next(iter(write(runs, REPORT)[0].comparisons["test/loss"].effects[0].settings))
    assert best == "8", "more steps in as many epochs"
    train("batch_size=64", "seed=0", "epochs=60", "name=sizes", "optimizer.lr=0.01")
    show(page)
    page.locator("#factors").get_by_label("Figure").select_option("test/loss")
    assert page.locator(".card b").last.inner_text() == "8"


def test_a_report_of_several_studies_opens_with_the_overview(page: "playwright.Page") -> None:
    study()
    train("dataset=diabetes", "loss=mse", "name=other")
    write(runs, REPORT)
    show(page)
    assert page.locator("h2").inner_text() == "All runs" and page.locator("tbody tr[data-run]").count() == 7
    page.locator("#runs").get_by_label("study", exact=True).select_option("other")
    assert page.locator("tbody tr[data-run]").count() == 1
    page.locator("#overview tbody tr").filter(has_text="study").first.click()
    assert page.locator("h2").inner_text() == "study" and page.locator("tbody tr[data-run]").count() == 6
    page.get_by_role("button", name="All runs").click()
    page.locator("#overview").wait_for()


def test_no_toolbar_covers_a_title_and_a_run_shows_its_folder(page: "playwright.Page") -> None:
    for person in ("alice", "bob"):
        train(
            "dataset=diabetes",
            "loss=mse",
            "name=values",
            f"output_dir=outputs/{person}",
            f"model.hidden_sizes=[{len(person)}]",
        )
    write(runs, REPORT)
    for width in (1300, 390):
        page.set_viewport_size({"width": width, "height": 840})
        show(page)
        shown = page.locator("#runs tbody tr[data-run]").all_inner_texts()
        assert {text.split()[1].split("/")[0] for text in shown} == {"alice", "bob"}
        for figure in page.locator("figure:has(.modebar)").all():
            figure.hover()
            title, bar = (figure.locator(each).bounding_box() for each in ("figcaption", ".modebar"))
            assert title and bar and title["height"] > 0 and title["y"] + title["height"] <= bar["y"]
    (dots, line) = traces(page, "values-progression")
    predictions = list(csv.DictReader((runs()[0].path / "predictions.csv").read_text().splitlines()))
    assert dots["x"] == [float(row["progression"]) for row in predictions]
    assert dots["y"] == pytest.approx([float(row["predicted progression"]) for row in predictions], rel=1e-5)
    assert line["x"] == line["y"]


def test_a_control_keeps_the_focus_after_a_change(page: "playwright.Page") -> None:
    study()
    write(runs, REPORT)
    show(page)
    page.locator("#curves").get_by_label("log scale").focus()
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "log scale"
    page.locator("tbody tr[data-run]").nth(2).focus()
    page.keyboard.press("Enter")
    assert page.locator("#details").count() == 1
    assert page.evaluate("document.activeElement.dataset.run") == page.locator("tr.chosen").get_attribute("data-run")


def test_an_invalid_address_opens_the_first_view(page: "playwright.Page") -> None:
    study()
    write(runs, REPORT)
    show(page, "100%")
    assert page.locator("h2").inner_text() == "study"


def test_markup_in_names_is_shown_as_text(page: "playwright.Page") -> None:
    for seed in (0, 1):
        run = train("name=study", f"seed={seed}")
        confusion = (run.path / "confusion_matrix.csv").read_text().replace("setosa", HOSTILE)
        (run.path / "confusion_matrix.csv").write_text(confusion)
        config = run.read_config()
        config["name"] = HOSTILE
        config["model"]["activation"] = f"{HOSTILE} {seed}"
        run.write_config(config)
        run.write_status("finished", epoch=2, error=f"{HOSTILE}<img src=x onerror=alert(2)>")
    write(runs, REPORT)
    show(page)
    page.locator("tbody tr[data-run]").first.click()
    assert page.locator("h2").inner_text() == HOSTILE and HOSTILE in page.locator("#details pre").first.inner_text()
    assert HOSTILE in (page.locator("[data-plot=confusion]").text_content() or "")
    assert HOSTILE in (page.locator("[data-plot='factor-model.activation']").text_content() or "")
    assert page.locator("main script, main img[src=x]").count() == 0


def test_a_phone_shows_the_page_without_scrolling_sideways(page: "playwright.Page") -> None:
    study()
    write(runs, REPORT)
    page.set_viewport_size({"width": 390, "height": 840})
    show(page)
    page.locator("tbody tr[data-run]").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_runs_in_any_state_are_on_the_page(page: "playwright.Page") -> None:
    whole, cut = train("seed=1", "name=states"), train("seed=2", "name=states")
    (cut.path / "result.json").write_text('{"final": {"te')
    whole.write_status("failed", epoch=1, error="The loss became nan")
    write(runs, REPORT)
    show(page)
    assert sorted(page.locator("tbody .status").all_inner_texts()) == ["damaged", "failed"]
    page.locator(f"tr[data-run='{whole.path}']").click()
    assert "The loss became nan" in page.locator("#details").inner_text()


def test_a_live_page_follows_new_runs(page: "playwright.Page") -> None:
    """It opens before there is a run, keeps typed text, and shows when updates end."""
    Path("outputs").mkdir()
    process = start("report", "--live")
    try:
        assert process.stdout is not None and "0 runs in 0 studies" in process.stdout.readline()
        page.goto((REPORT / "index.html").absolute().as_uri())
        assert "There are no runs yet" in page.locator("main").inner_text()
        train("seed=1", "name=going")
        page.wait_for_selector("tbody tr[data-run]", timeout=60_000)
        page.locator("#search").press_sequentially("go")
        for activation in ("tanh", "relu"):
            train("seed=2", "name=going", f"model.activation={activation}")
        page.wait_for_selector("tbody tr[data-run] >> nth=2", timeout=60_000)
        page.keyboard.type("ing")
        assert page.locator("#search").input_value() == "going"
        assert page.locator(".card").count() == 1 and page.locator("#findings li").count() == 1
    finally:
        process.send_signal(2)
        process.communicate()
    assert process.returncode == 130
    page.locator("#summary").filter(has_text="Made").wait_for(timeout=60_000)


def test_the_page_is_one_file_that_loads_nothing(page: "playwright.Page") -> None:
    train("epochs=1")
    write(runs, REPORT)
    moved = Path("elsewhere.html")
    (REPORT / "index.html").rename(moved)
    shutil.rmtree(REPORT)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(moved.absolute().as_uri())
    page.wait_for_selector("[data-plot=confusion] .heatmaplayer")
    assert asked == [moved.absolute().as_uri()]
    assert json.loads(page.locator("#data").inner_text())["live"] is False
