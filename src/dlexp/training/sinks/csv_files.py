"""The CSV files of a run directory: the sink that resume reads and cuts back."""

from collections.abc import Mapping, Sequence

from dlexp.runs.directory import RunDirectory
from dlexp.training.sinks.sink import Sink


class CsvFiles(Sink):
    """One growing file for each table; `columns` and `lengths` (in bytes) map from the tables' names."""

    def __init__(self, run: RunDirectory, columns: Mapping[str, Sequence[str]], lengths: Mapping[str, int]):
        self._tables = {name: run.table(name, columns[name], lengths.get(name, 0)) for name in columns}

    def is_new(self, table: str) -> bool:
        """Return whether a table has no rows from before."""
        return self._tables[table].is_new

    def write(self, table: str, row: Mapping[str, object]) -> None:
        """Append a row to the table; keys that are not its columns are left out."""
        self._tables[table].append(row)

    def flush(self, table: str) -> None:
        """Flush the rows so far to the file, so that readers see them."""
        self._tables[table].flush()

    def sync(self) -> dict[str, tuple[int, str]]:
        """Sync every row to the disk; return each table's length in bytes and its SHA-256."""
        return {name: table.sync() for name, table in self._tables.items()}

    def close(self) -> None:
        """Flush and close every file."""
        for table in self._tables.values():
            table.close()

    def abandon(self) -> None:
        """Close after a failure, when buffered rows may not be writable; only rows up to the last `sync` count."""
        for table in self._tables.values():
            table.abandon()
