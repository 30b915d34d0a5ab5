"""rows.jsonl: every row of every table as one line of JSON, for programs that follow a run."""

import json
from collections.abc import Mapping
from pathlib import Path

from dlexp.runs.formatting import strict
from dlexp.training.sinks.sink import Sink


class _JsonLines(Sink):
    def __init__(self, path: Path):
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def write(self, table: str, row: Mapping[str, object]) -> None:
        print(json.dumps(strict({"table": table, **row})), file=self._file)

    def close(self) -> None:
        self._file.close()


def json_lines(*, run_path: Path) -> Sink:
    """Append each row to rows.jsonl in the run directory as an object of its columns and its `table`."""
    return _JsonLines(run_path / "rows.jsonl")
