"""Compare whole studies, each by the keys that vary in it."""

from collections.abc import Iterable

from dlexp.compare import tables
from dlexp.compare.comparison import SEE, Comparison, compare
from dlexp.compare.groups import MOST_SETTINGS, Record, Setting, named, newest, setting, varied
from dlexp.errors import UserError


def by_data(runs: Iterable[Record | None], metric: str | None = None) -> dict[str, Comparison]:
    """Compare the runs of a study by the keys that vary in it, each set of data for itself: figures of others differ.

    Return the comparisons by their data, as in dataset.pattern=circle, or by '' if all have the same; a set in which
    nothing varies, or a key has more than 24 values, has none. Raises UserError as `compare` does.
    """
    everything, _ = newest(runs)
    others = len({record.provenance.get("data_sha256") for record in everything}) > 1
    of_data = [key for key in varied(everything) if others and key.startswith("dataset.")]
    sets: dict[Setting, list[Record]] = {}
    for record in everything:
        sets.setdefault(setting(record, of_data), []).append(record)
    names, found = named(sets, of_data), {}
    for data, same in sets.items():
        factors = varied(same)
        if factors and all(len({setting(each, [key]) for each in same}) <= MOST_SETTINGS for key in factors):
            found[names[data]] = compare(same, factors, metric)
    return found


def text(runs: Iterable[Record | None], metric: str | None = None) -> str:
    """Return the comparison of each study, the runs of one name, and a sentence with the best setting of each.

    Raises UserError if no key varies in any.
    """
    studies: dict[str, list[Record]] = {}
    for each in runs:
        if each is not None:
            studies.setdefault(str(each.keys.get("name")), []).append(each)
    found: dict[str, Comparison] = {}
    for name, same in studies.items():
        found |= {f"{name} {data}".rstrip(): each for data, each in by_data(same, metric).items()}
    if not found:
        raise UserError(f"No study here has finished runs that differ in a key other than the seed. {SEE}")
    parts = [f"{name}\n\n{tables.terminal(each)}" for name, each in found.items()]
    best = [each.best for each in found.values() if each.best]
    told = [f"{each.setting} ({'; '.join(filter(None, [each.figure, each.doubt]))})" for each in best]
    return "\n\n".join([*parts, f"Best setting of each study: {', '.join(told)}."])
