"""The verbs of the command line, by name."""

from collections.abc import Callable, Sequence

from dlexp.cli import reading, reporting, working

VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": working.train,
    "plan": working.plan,
    "resume": working.resume,
    "evaluate": working.evaluate,
    "report": reporting.report,
    "compare": reading.compare,
    "diff": reading.diff,
    "summary": reading.summary,
    "list": reading.list_,
    "data": reading.data,
}
