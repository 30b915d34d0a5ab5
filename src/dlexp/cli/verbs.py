"""The verbs of the command line. Each is imported when it is used, so that `--help` stays fast."""

import importlib
from collections.abc import Callable, Sequence

VERBS = {
    "train": "dlexp.cli.train:train",
    "plan": "dlexp.cli.plan:plan",
    "resume": "dlexp.cli.resume:resume",
    "evaluate": "dlexp.cli.evaluate:evaluate",
    "report": "dlexp.cli.report:report",
    "compare": "dlexp.cli.compare:compare",
    "diff": "dlexp.cli.diff:diff",
    "summary": "dlexp.cli.summary:summary",
    "list": "dlexp.cli.list:list_",
    "data": "dlexp.cli.data:data",
}


def verb(name: str) -> Callable[[Sequence[str]], int]:
    """Return a verb's function, which takes the arguments after the verb and returns the exit code."""
    module, _, function = VERBS[name].partition(":")
    found: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), function)
    return found
