"""The verbs of the command line. Each is imported when it is used, so that `--help` stays fast."""

import ast
import importlib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

VERBS = {
    "train": "dlexp.cli.train:train",
    "plan": "dlexp.cli.plan:plan",
    "resume": "dlexp.cli.resume:resume",
    "evaluate": "dlexp.cli.evaluate:evaluate",
    "predict": "dlexp.cli.predict:predict",
    "export": "dlexp.cli.export:export",
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


def purpose(name: str) -> str:
    """Return the first line of a verb's docstring, read from its file: importing all verbs would take a second."""
    module, _, function = VERBS[name].partition(":")
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    parts = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    texts = [ast.get_docstring(part) for part in parts if isinstance(part, ast.FunctionDef) and part.name == function]
    return (texts[0] or "").splitlines()[0]
