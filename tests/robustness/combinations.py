"""Combinations of dataset, model, loss, optimizer, scheduler and regularizer: each trains, or is refused with a reason.

Every pair of choices occurs: those that can be trained together in a combination that is trained, the others in one
that is refused. What fits is told here by what components say of themselves, not by the code that refuses.
"""

import functools
import itertools
import json
import math
import random
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from robustness.forks import Trial, dlexp, prepare

from dlexp.components.losses import LOSSES
from dlexp.config.composition import options
from dlexp.config.config import load_config
from dlexp.data import store
from dlexp.data.datasets import DATASETS
from dlexp.data.preparation import bind, source_of
from dlexp.data.source import Source
from dlexp.training.build import REGISTRIES

LEAST = 200  # combinations
CUT = ["dataset.train_size=64", "dataset.test_size=32"]
SMALLER = {  # what else is said of a dataset, so that two epochs take no time, or so that a loss finds its like
    **dict.fromkeys(("mnist", "cifar10", "hoda", "hoda_full", "digits"), CUT),
    "noise": ["dataset.shape=[3,32,32]", "dataset.classes=10"],
    "inline pairs": ["dataset.targets=null", "dataset.class_names=null"],
}
# They need Python, or weights from a network; alexnet is alexnet_cifar10 but for its sizes.
LEFT_OUT = ("custom", "pretrained", "alexnet")
SMALLEST = {"cifar_cnn": 8, "mnist_cnn": 4, "alexnet_cifar10": 15}  # images that are left anything by its pools
DIVERGED = ("not a finite number", "which is not finite")  # in a step, or in what the last one left

Row = tuple[str, ...]  # a choice from each of the groups
Pair = tuple[int, str, int, str]  # two choices, each after the number of its group


def choices() -> dict[str, list[str]]:
    """Return what there is to choose in each group; of datasets those that are here."""
    data_dir = Path(load_config([]).data_dir)
    here = [n for n, builder in DATASETS.builders.items() if builder().embedded or store.is_complete(data_dir / n)]
    return {
        "dataset": [*here, "inline pairs"],
        "model": [name for name in options("model") if name not in LEFT_OUT],
        **{group: [*REGISTRIES[group].builders] for group in ("loss", "optimizer", "scheduler", "regularizer")},
    }


def command(row: Row) -> list[str]:
    """Return the overrides that choose a row."""
    dataset, model, loss, optimizer, scheduler, regularizer = row
    chosen = [f"dataset={dataset.split()[0]}", *SMALLER.get(dataset, []), f"model={model}", f"loss={loss}"]
    rest = [f"optimizer={optimizer}", f"scheduler={scheduler}", f"regularizer={regularizer}"]
    return [*chosen, *rest, "epochs=2", "batch_size=32"]


@functools.cache
def facts(dataset: str) -> Source:
    """Return what a dataset says of itself."""
    return source_of(bind(load_config([f"dataset={dataset.split()[0]}", *SMALLER.get(dataset, [])]).dataset))


def fits(row: Row) -> bool:
    """Whether a row is to be trained; else it is to be refused."""
    dataset, model, name = row[:3]
    source, loss = facts(dataset), LOSSES.find(name)()
    targets = "classes" if source.class_names else "values" if source.value_names else "nothing"
    if targets not in loss.takes or (loss.one_node and len(source.class_names) != 2):
        return False
    if model in SMALLEST and (len(source.input_shape) != 3 or source.input_shape[1] < SMALLEST[model]):
        return False
    return targets != "classes" or ("log_probabilities" if model == "mnist_cnn" else "logits") in loss.accepts


def pairs(row: Row) -> set[Pair]:
    """Return the pairs of choices that occur in a row."""
    return {(i, row[i], j, row[j]) for i, j in itertools.combinations(range(len(row)), 2)}


def cover(wanted: Collection[Pair], groups: list[list[str]], allowed: Callable[[Row], bool]) -> Iterator[Row]:
    """Yield rows until every pair has occurred that an allowed row can have: each the best of some random ones."""
    chance, left = random.Random(0), dict.fromkeys(sorted(wanted))
    while left:
        i, one, j, other = pair = next(iter(left))
        candidates = []
        for _ in range(400):
            row = [chance.choice(group) for group in groups]
            row[i], row[j] = one, other
            if allowed(tuple(row)):
                candidates.append(tuple(row))
            if len(candidates) == 30:
                break
        best = max(candidates, key=lambda row: len(pairs(row) & left.keys()), default=None)
        for covered in [pair] if best is None else pairs(best):
            left.pop(covered, None)
        if best is not None:
            yield best


def rows() -> list[Row]:
    """Return the combinations: first those that fit, then those for the pairs that never do, then more that fit."""
    groups = [*choices().values()]
    every = {
        (i, one, j, other)
        for i, j in itertools.combinations(range(len(groups)), 2)
        for one in groups[i]
        for other in groups[j]
    }
    found = [*cover(every, groups, fits)]
    found += cover(every.difference(*map(pairs, found)), groups, lambda row: True)
    assert every == set().union(*map(pairs, found)), "a pair never occurs"
    chance = random.Random(0)
    while len(found) < LEAST:
        row = tuple(chance.choice(group) for group in groups)
        if fits(row) and row not in found:
            found.append(row)
    return found


def outcome(row: Row, folder: Path) -> str:
    """Train a row in a fresh folder; return what was not as it should be, or ''."""
    code, said = dlexp(folder, "train", *command(row))
    if "Traceback" in said or "Warning" in said:
        return said[-500:]
    if code == 1 and any(words in said for words in DIVERGED):
        return ""
    if code == 2:
        if not said.startswith("dlexp: ") or said.count("\n") != 1 or any(folder.iterdir()):
            return f"refused with {said[-500:]!r}, leaving {[*map(str, folder.iterdir())]}"
        return f"was refused, but should fit: {said}" if fits(row) else ""
    if code != 0 or not fits(row):
        return f"ended with {code}, and {'fits' if fits(row) else 'does not fit'}: {said[-500:]}"
    (file,) = folder.rglob("result.json")
    result = json.loads(file.read_text())
    figures = [value for split in result["final"].values() for value in split.values()]
    whole = result["status"] == "finished" and all(value is not None and math.isfinite(value) for value in figures)
    return "" if whole else f"came to {result['status']}, {result['final']}"


def trials(*, short: bool) -> Iterator[Trial]:
    """Every combination, in short every so manieth."""
    prepare()
    found = rows()
    for row in found[:: len(found) // 11] if short else found:
        with tempfile.TemporaryDirectory() as place:
            yield Trial(" ".join(command(row)), outcome(row, Path(place)))
