"""Write the report's folder: page, pictures, summary.csv, report.md. Pictures of unchanged studies are kept."""

import csv
import hashlib
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlexp.compare import tables
from dlexp.errors import UserError
from dlexp.report import paper
from dlexp.report.collect import DAMAGE, VERSION, collect
from dlexp.report.page import as_json, page
from dlexp.report.studies import Study, settings, studies
from dlexp.runs.directory import RunDirectory
from dlexp.runs.formatting import decimals_of, number
from dlexp.storage.atomic import clear_partial, write_atomically
from dlexp.storage.locks import awaited
from dlexp.storage.untrusted import read_bytes, refuse_link

CACHE, DRAWN, LOCK = ".cache.json", ".drawn.json", ".lock"
OURS = ("index.html", "summary.csv", "report.md")
EVERY_SECONDS = 2.0

Find = Callable[[], Sequence[RunDirectory]]


def write(find: Find, folder: Path) -> list[Study]:
    """Write the report of the runs that `find` finds into `folder`; return its studies.

    Raises UserError if the folder cannot be written, or holds such files that no report wrote.
    """
    with _held(folder):
        found = studies(collect(find(), folder / CACHE))
        pictures = _draw(found, folder)
        boundaries = {
            study: (folder / "figures" / name).read_bytes()
            for study, names in pictures.items()
            for name in names
            if name.endswith("_boundary.png")
        }
        for name, text in (
            ("index.html", page(found, boundaries)),
            ("summary.csv", summary(found)),
            ("report.md", markdown(found, pictures)),
        ):
            write_atomically(folder / name, text.encode(errors="replace"), durable=False)
    return found


def follow(find: Find, folder: Path, tell: Callable[[list[Study]], None]) -> None:
    """Write a page and update it until a KeyboardInterrupt; call `tell` once the page can be opened.

    The page loads `live.js` beside it, which is written again after every change, so it needs no server and no port. At
    the end, write the whole report, and tell open pages that updates have ended.
    """
    last = ""
    try:
        while True:
            with _held(folder):
                found = studies(collect(find(), folder / CACHE))
                facts = json.dumps([run for study in found for run in study.runs], sort_keys=True)
                if facts != last:
                    _tell_pages(folder, found, live=True)
                if not last:
                    text = page(found, {}, live=True)
                    write_atomically(folder / "index.html", text.encode(errors="replace"), durable=False)
                    tell(found)
            last = facts
            time.sleep(EVERY_SECONDS)
    finally:
        found = write(find, folder)
        with _held(folder):
            _tell_pages(folder, found, live=False)


def _tell_pages(folder: Path, found: Sequence[Study], *, live: bool) -> None:
    text = f"window.update({as_json(found, {}, live=live)})"
    write_atomically(folder / "live.js", text.encode(errors="replace"), durable=False)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make the report's folder, and hold its lock; other reports wait for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / LOCK).exists() and (foreign := [name for name in OURS if (folder / name).exists()]):
            raise UserError(f"--to {folder}: {foreign[0]} exists, and no report wrote it. Name another folder.")
        with awaited(folder / LOCK):
            clear_partial([*folder.glob("*.part"), *folder.glob("figures/*.part")])
            yield
    except OSError as error:
        raise UserError(f"--to {folder}: {error.filename} cannot be written: {error.strerror}.") from error


def summary(found: Sequence[Study]) -> str:
    """Return CSV with a line for each run: study, path, status, varied keys, figures."""
    columns = list(dict.fromkeys(key for study in found for key in study.columns))
    figures = list(dict.fromkeys(key for study in found for run in study.runs for key in run["figures"]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    named = ["epochs_trained" if key == "epochs" else key for key in figures]  # `epochs` is what the config asks for
    writer.writerow(["study", "run", "status", *columns, *named])
    for study in found:
        for run in study.runs:
            chosen, measured = settings(run, columns), run["figures"]
            cells = [*(chosen.get(key, "") for key in columns), *(measured.get(key, "") for key in figures)]
            writer.writerow([study.name, run["path"], run["status"], *cells])
    return text.getvalue()


def markdown(found: Sequence[Study], pictures: dict[str, list[str]]) -> str:
    """Return the studies in Markdown for a homework, with links to their pictures."""
    parts = ["# Report"]
    for study in found:
        statuses = [run["status"] for run in study.runs]
        counts = ", ".join(f"{statuses.count(status)} {tables.plain(status)}" for status in dict.fromkeys(statuses))
        parts.append(f"## {tables.plain(study.name)}\n\n{counts}.")
        if errors := [(run["path"], run["error"]) for run in study.runs if run["error"]]:
            parts.append("\n".join(f"- {tables.plain(when)}: {tables.plain(error)}" for when, error in errors))
        if comparison := study.comparisons.get(next(iter(study.metrics), "")):
            parts.append(tables.markdown(comparison))
        elif study.metrics:
            parts += [tables.plain(reason) for reason in dict.fromkeys(study.refusals.values())]
            header = ["run", *study.columns, *study.metrics]
            rows = _rows(study)
            parts.append(tables.markdown_table(header, rows))
        for run in study.runs:
            if run.get("reported"):
                where = ", ".join(f"{key} {value}" for key, value in settings(run, study.varied).items())
                reported = [[str(cell) for cell in row] for row in run["reported"]]
                parts.append(tables.markdown_table([where or run["path"], "reported", "measured"], reported))
        drawn = [name for name in pictures[study.name] if name.endswith(".png")]
        parts += [f"![{Path(name).stem}](figures/{name})" for name in drawn]
    return "\n\n".join(parts) + "\n"


def _rows(study: Study) -> list[list[str]]:
    runs = [run for run in study.runs if run["figures"]]
    decimals = {key: decimals_of(run["figures"][key] for run in runs if key in run["figures"]) for key in study.metrics}
    return [
        [
            run["path"],
            *(settings(run, study.columns).get(key, "–") for key in study.columns),
            *(number(run["figures"][key], decimals[key]) if key in run["figures"] else "–" for key in study.metrics),
        ]
        for run in runs
    ]


def _draw(found: Sequence[Study], folder: Path) -> dict[str, list[str]]:
    """Draw the studies that changed since they were last drawn; return each study's pictures.

    A damaged run may make a picture fail: print the reason, and leave the picture out.
    """
    place = folder / "figures"
    refuse_link(place, "pictures would be written, and old ones deleted, where it leads.")
    place.mkdir(exist_ok=True)
    before = _drawn_before(folder)
    now: dict[str, dict[str, Any]] = {}
    for study, name in zip(found, _file_names(found), strict=True):
        content = json.dumps([VERSION, study.name, *study.runs], sort_keys=True).encode()
        digest = hashlib.sha256(content).hexdigest()
        known = before.get(name, {})
        if known.get("digest") == digest and all((place / picture).exists() for picture in known["pictures"]):
            now[name] = known
            continue
        now[name] = {"digest": digest, "pictures": []}
        for what, way in paper.figures(study).items():
            try:
                paper.draw(way, place / f"{name}_{what}")
            except (*DAMAGE, OverflowError) as error:
                print(f"{study.name}: no picture of its {what.replace('_', ' ')}: {error}", file=sys.stderr)
            else:
                now[name]["pictures"] += [f"{name}_{what}.png", f"{name}_{what}.svg"]
    kept = {picture for each in now.values() for picture in each["pictures"]}
    for picture in {picture for each in before.values() for picture in each["pictures"]} - kept:
        (place / picture).unlink(missing_ok=True)
    write_atomically(folder / DRAWN, json.dumps(now).encode(), durable=False)
    return {study.name: each["pictures"] for study, each in zip(found, now.values(), strict=True)}


def _drawn_before(folder: Path) -> dict[str, Any]:
    """Return the pictures of an earlier report; {} if there are none or the notes are damaged: then draw all."""
    try:
        before = dict(json.loads(read_bytes(folder / DRAWN)))
        names = [name for each in before.values() for name in (each["digest"], *each["pictures"])]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return before if all(isinstance(name, str) and re.fullmatch(r"[\w-]+(\.\w+)?", name) for name in names) else {}


def _file_names(found: Sequence[Study]) -> list[str]:
    """Return a unique name for each study's files, of letters, digits, `_` and `-`."""
    names: list[str] = []
    for study in found:
        plain = re.sub(r"[^\w-]+", "_", study.name).encode()[:100].decode(errors="ignore") or "study"
        numbers = ("", *(f"_{i}" for i in range(2, len(found) + 2)))
        names.append(next(plain + number for number in numbers if plain + number not in names))
    return names
