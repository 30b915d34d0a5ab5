"""NaN, infinity and numbers at the edge, in data, loss, gradients, metrics and options: handled, or refused.

No run that says it is finished, no checkpoint, no choice of an epoch and no mean over runs may rest on one.
"""

import csv
import itertools
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from robustness import odd_cases
from robustness.forks import Trial, dlexp, prepare
from robustness.odd_cases import DIVERGED, HANDLED, REFUSED, Case

from dlexp.components.losses import LOSSES
from dlexp.training import checkpoint
from dlexp.training.evaluation import classify


def outcome(case: Case, folder: Path) -> str:
    """Train a case in a folder of its own; return what was not as it should be, or ''."""
    overrides, expected, named = case
    odd_cases.write_files(overrides, folder)
    before = {*folder.rglob("*")}
    code, said = dlexp(folder, "train", "epochs=2", *(each for each in overrides if not each.startswith("+damage")))
    if code != expected or named not in said:
        return f"ended with {code}, not {expected} naming {named!r}: {said[-400:]}"
    if wrong := unsaid(said, code):
        return wrong
    if code == REFUSED:
        left = {*folder.rglob("*")} - before
        return f"refused, leaving {[*map(str, left)]}" if left or said.count("\n") != 1 else ""
    (run,) = (path.parent for path in folder.rglob("environment.json"))
    if wrong := not_finite(run):
        return wrong
    result = json.loads((run / "result.json").read_text()) if (run / "result.json").exists() else None
    status = json.loads((run / "status.json").read_text())["status"]
    if (result is None) != (code == DIVERGED) or status != ("failed" if code else "finished"):
        return f"ended with {code}, {status}, {'no ' * (result is None)}result"
    figures = [*(result or {}).get("final", {}).values(), (result or {}).get("selected") or {}]
    figures += [{key: best["value"]} for each in (result or {}).get("best", {}).values() for key, best in each.items()]
    if any(value is None for each in figures for value in each.values()):
        return f"finished with {figures}"
    passing = any("call" in each for each in overrides)  # what went wrong may not come again
    return looked_at(folder, run, (DIVERGED, HANDLED) if passing else (DIVERGED,)) if code == DIVERGED else ""


def unsaid(said: str, code: int) -> str:
    """Return what of a program's own was shown, or that a failure has no message."""
    wrong = "Traceback" in said or "Warning" in said or (code and not said.splitlines()[-1].startswith("dlexp: "))
    return f"said {said[-600:]}" if wrong else ""


def not_finite(run: Path) -> str:
    """Return which of a run's files has what is not a finite number where one must be, or ''."""
    for path in run.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=lambda word, path=path: _fail(f"{path} has {word}"))
    for path in run.rglob("*.pt"):
        state = checkpoint.load(path)
        parts = [
            state["model"],
            state.get("best_weights") or {},
            *state.get("optimizer", {"state": {}})["state"].values(),
        ]
        for name, value in itertools.chain.from_iterable(part.items() for part in parts):
            if not bool(torch.as_tensor(value).isfinite().all()):
                return f"{path.name}: {name} is not finite"
    with (run / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            numbers = {key: float(value) for key, value in row.items()}
            if not all(math.isfinite(value) for key, value in numbers.items() if key.startswith("train/")):
                return f"metrics.csv: {row}"
    return ""


def looked_at(folder: Path, run: Path, resumed: tuple[int, ...]) -> str:
    """List, compare and go on with a run that diverged; return what was wrong with that, or ''."""
    for verb, expected in (
        (["list", "runs"], (HANDLED,)),
        (["evaluate", run], (HANDLED, REFUSED)),
        (["compare", "--by", "optimizer"], (REFUSED,)),
        (["resume", run], resumed),
    ):
        code, said = dlexp(folder, *verb)
        if code not in expected:
            return f"dlexp {verb[0]} ended with {code}: {said[-400:]}"
        if wrong := unsaid(said, code):
            return f"dlexp {verb[0]} {wrong}"
    return not_finite(run)


def among_others(folder: Path) -> Iterator[Trial]:
    """A run that diverged among good ones: in lists, means and the page."""
    for seed, lr in itertools.product(range(3), ("0.01", "0.02", "1e30")):
        dlexp(folder, "train", "epochs=2", f"seed={seed}", f"optimizer.lr={lr}", "name=study")
    for verb in (
        ["list", "runs"],
        ["list", "runs", "status=failed"],
        ["compare", "outputs", "--by", "optimizer.lr"],
        ["compare", "outputs", "--by", "optimizer.lr", "--json"],
        ["report"],
    ):
        code, said = dlexp(folder, *verb)
        lines = [line for line in said.splitlines() if "nan" in line.lower().split() or "1e+30" in line.split()]
        wrong = unsaid(said, code) or (f"ended with {code}: {said[-300:]}" if code else "") or " ".join(lines)
        yield Trial(f"dlexp {' '.join(verb)}, with runs that diverged", wrong)


def losses() -> Iterator[Trial]:
    """Every loss at extreme outputs: finite with a finite gradient, or not finite; by hand as by autograd."""
    for name, size, dtype in itertools.product(LOSSES.builders, (1e4, 1e19, 1e38), (torch.float32, torch.float64)):
        loss, wrong = LOSSES.builders[name](), []
        columns = 1 if loss.one_node else 2
        targets = torch.tensor([0, 1]) if loss.takes[0] == "classes" else torch.zeros(2, columns, dtype=dtype)
        for signs in itertools.product((-1, 0, 1), repeat=2 * columns):
            z = (torch.tensor(signs, dtype=dtype) * size).reshape(2, columns).requires_grad_()
            value = loss.function(z, targets)
            value.backward()
            if bool(value.isfinite()) and not bool(z.grad.isfinite().all()):
                wrong.append(f"{z.tolist()}: loss {value.item()}, gradient {z.grad.tolist()}")
            if loss.by_hand is not type(loss).by_hand:
                by_hand, gradient = loss.by_hand(z.detach(), targets)
                same = torch.allclose(by_hand, value, equal_nan=True) and torch.allclose(
                    gradient, z.grad, equal_nan=True
                )
                wrong += (
                    []
                    if same
                    else [f"{z.tolist()}: by hand {by_hand.item(), gradient.tolist()}, {value.item(), z.grad.tolist()}"]
                )
            if loss.takes[0] == "classes" and not bool(classify(z.detach())[1].isfinite().all()):
                wrong.append(f"{z.tolist()}: no finite probabilities")
        yield Trial(f"loss={name} at ±{size:g}, {dtype}", "; ".join(wrong[:2]))


def trials(*, short: bool) -> Iterator[Trial]:
    """Every case; in short a few of each kind."""
    sys.dont_write_bytecode = True
    prepare()
    for kind, several in ((odd_cases.data, 18), (odd_cases.options, 18), (odd_cases.training, 7)):
        for case in [*kind()][:: several if short else 1]:
            with tempfile.TemporaryDirectory() as place:
                yield Trial(" ".join(case[0]), outcome(case, Path(place)))
    yield from itertools.islice(losses(), 0, None, 12 if short else 1)
    if not short:
        with tempfile.TemporaryDirectory() as place:
            yield from among_others(Path(place))


def _fail(message: str) -> None:
    raise ValueError(message)
