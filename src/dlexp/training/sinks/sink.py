"""The base class of sinks: a sink takes the rows of a run's tables as they are written."""

from collections.abc import Mapping


class Sink:
    """Takes rows. A resumed run opens its sinks again, and may repeat rows that they already have."""

    def write(self, table: str, row: Mapping[str, object]) -> None:
        """Take one row of a table (for example `metrics.csv`), a mapping from its columns."""
        raise NotImplementedError

    def close(self) -> None:
        """Flush and close; called once, also after a failure."""
