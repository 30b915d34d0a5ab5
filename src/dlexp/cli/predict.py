"""The verb `predict`."""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.cli.arguments import parser_of
from dlexp.config.schema import path
from dlexp.errors import UserError
from dlexp.runs.formatting import table
from dlexp.storage.atomic import write_atomically
from dlexp.training.run import Run

if TYPE_CHECKING:
    from dlexp.training.prediction.prediction import Predictions

NOT_FOUND = "not found"
OVERRIDE = re.compile(r"[a-z_]+(\.\w+)*=")


def predict(arguments: Sequence[str]) -> int:
    """Predict the classes or values of pictures, rows of a CSV file, or arrays, with a run's model.

    dlexp predict outputs/mnist_mlp/2026-01-31_12-00-00 seven.png scans/
    dlexp predict outputs/iris_mlp/2026-01-31_12-00-00 flowers.csv --parquet predicted.parquet
    dlexp predict outputs/iris_mlp/2026-01-31_12-00-00 flowers.csv --json --best --reject-below 0.5 device=cpu
    """
    parser = parser_of(predict)
    parser.add_argument("run", type=path, help="the run directory")
    parser.add_argument("files", nargs="+", help="pictures, folders of them, CSV or .npy files; -: a CSV on stdin")
    parser.add_argument("overrides", nargs="*", help="device=, threads= or imports=, if they changed")
    parser.add_argument("--best", action="store_true", help="use the weights that validation chose")
    parser.add_argument("--top", type=_count, default=3, metavar="N", help="show N classes (default 3)")
    parser.add_argument(
        "--reject-below", type=_share, metavar="P", help='print "not found" below this confidence, 0 to 1'
    )
    parser.add_argument("--calibrated", action="store_true", help="divide log-odds by the temperature of validation")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--csv", action="store_true", help="print CSV with every probability")
    shape.add_argument("--json", action="store_true", help="print JSON, an object for each sample")
    shape.add_argument("--parquet", type=path, metavar="FILE", help="write a Parquet file")
    options = parser.parse_intermixed_args(arguments)

    typed = [*options.files, *options.overrides]
    overrides = [each for each in typed if OVERRIDE.match(each) and not Path(each).exists()]
    files = [each for each in typed if each not in overrides]
    if not files:
        raise UserError(f"{overrides[0]} is no file: name at least one, or - for a CSV on standard input.")
    if options.parquet and options.parquet.exists():
        raise UserError(f"--parquet {options.parquet} exists already: delete it, or name another file.")
    found = Run(options.run, overrides).predictions(
        files, best=options.best, reject_below=options.reject_below, calibrated=options.calibrated
    )
    tell(found)
    if not len(found.table):
        return UserError.exit_code
    if options.parquet:
        _write_parquet(options.parquet, found)
    elif options.json:
        print(_as_json(found))
    elif options.csv:
        print(found.table.to_csv(lineterminator="\n"), end="")
    else:
        print(_for_people(found, options.top))
    return UserError.exit_code if found.refused else 0


def tell(found: Predictions) -> None:
    """Print remarks on the samples, and each sample that cannot be used with its reason, on standard error."""
    for remark in found.remarks:
        print(remark, file=sys.stderr)
    for name, reason in found.refused:
        print(f"dlexp: {name}{': ' if name else ''}{reason}", file=sys.stderr)


def _for_people(found: Predictions, top: int) -> str:
    rows = []
    key = str(found.table.index.name or "row")
    if "confidence" not in found.table:
        return table([key, *found.scores], found.table.reset_index().values.tolist())
    shares = found.table[found.scores].to_numpy()
    names = [name.removeprefix("probability of ") for name in found.scores]
    top = min(top, len(names))
    for name, prediction, share in zip(found.table.index, found.table["prediction"], shares, strict=True):
        order = (-share).argsort(kind="stable").tolist()
        if isinstance(prediction, str):  # of equal probabilities, the predicted class comes first
            order.sort(key=lambda k: names[k] != prediction)
        shown = [(names[k], f"{share[k]:.4f}") for k in order[:top]]
        if not isinstance(prediction, str):
            shown[0] = (NOT_FOUND, shown[0][1])
        rows.append([str(name), *(cell for pair in shown for cell in pair)])
    further = [cell for i in range(1, top) for cell in (f"{i + 1}.", "")]
    return table([key, "prediction", "", *further], rows)


def _as_json(found: Predictions) -> str:
    key = str(found.table.index.name or "row")
    samples = []
    for name, row in zip(found.table.index.tolist(), found.table.to_dict("records"), strict=True):
        scores = {column: row[column] for column in found.scores}
        if "confidence" not in row:
            samples.append({key: name, "values": scores})
            continue
        samples.append(
            {
                key: name,
                "prediction": row["prediction"] if isinstance(row["prediction"], str) else None,
                "confidence": row["confidence"],
                "probabilities": scores,
            }
        )
    return json.dumps(samples, indent=1, ensure_ascii=False, allow_nan=False, default=str)


def _write_parquet(file: Path, found: Predictions) -> None:
    content = io.BytesIO()
    try:
        found.table.to_parquet(content, engine="pyarrow")
    except ImportError:
        raise UserError("--parquet needs pyarrow: pip install 'dlexp[parquet]', or take --csv.") from None
    write_atomically(file, content.getvalue())
    print(f"{len(found.table)} predictions: {file}")


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no number") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(text)
