"""What a sink is: it takes the rows of a run's tables as they are written."""

from collections.abc import Mapping


class Sink:
    """Takes rows; a run that goes on again opens its sinks anew, and may give rows that they had before."""

    def write(self, table: str, row: Mapping[str, object]) -> None:
        """Take one row of a table (`metrics.csv`, `gradients.csv` …), by its columns."""
        raise NotImplementedError

    def close(self) -> None:
        """Bring everything out; called once, also after a failure."""
