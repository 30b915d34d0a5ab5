"""The progress of a running job: one tqdm line on a terminal, a few plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Self

from tqdm import tqdm

from dlexp.runs.directory import RunDirectory

REFRESH_SECONDS = 0.1
PLAIN_SECONDS = 30.0
SPLITS = ("train", "validation", "test")


class Display:
    """Shows a job in plain lines on standard error: its warnings, its epoch, and each split's loss and accuracy."""

    _epochs = _steps_per_epoch = _epoch = 0
    _next = 0.0
    _silent = False

    def begin(self, run: RunDirectory, epochs: int, steps_per_epoch: int, done: int) -> Self:
        """Take in how long the job in `run` is, and how many of its steps are `done`."""
        self._epochs, self._steps_per_epoch, self._epoch = epochs, steps_per_epoch, done // steps_per_epoch
        self._next = time.monotonic()
        return self

    def step(self, done: int) -> None:
        """Called after each of the run's steps."""

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Called after each epoch with its metrics; shows a line each tenth of the run, or every 30 s."""
        moment = time.monotonic()
        if epoch % max(1, self._epochs // 10) == 0 or epoch == self._epochs or moment >= self._next:
            splits = (
                " ".join([split, *(f"{name} {metrics[f'{split}/{name}']:.4g}" for name in _names(metrics))])
                for split in SPLITS
                if f"{split}/loss" in metrics
            )
            self.tell("  ".join([f"epoch {epoch}/{self._epochs}", *splits]))
            self._next = moment + PLAIN_SECONDS

    def warn(self, text: str) -> None:
        """Show a warning."""
        self.tell(text)

    def tell(self, text: str) -> None:
        """Show a line."""
        self._show(lambda: print(text, file=sys.stderr, flush=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _show(self, show: Callable[[], None]) -> None:
        if not self._silent and sys.stderr is not None:
            try:
                show()
            except OSError:  # a closed pipe or a full disk must not end a job
                self._silent = True


class Bar(Display):
    """Shows epoch, loss, accuracy and the remaining time in one line of a terminal, which it redraws."""

    def begin(self, run: RunDirectory, epochs: int, steps_per_epoch: int, done: int) -> Self:
        """Open the bar."""
        layout, total = "{desc}{remaining} left {bar}", epochs * steps_per_epoch
        self._metrics: Mapping[str, float] = {}
        self._done = done
        self._bar = tqdm(total=total, initial=done, bar_format=layout, file=sys.stderr, dynamic_ncols=True)
        return super().begin(run, epochs, steps_per_epoch, done)

    def step(self, done: int) -> None:
        """Called after each of the run's steps; draws ten times a second at most."""
        if time.monotonic() >= self._next:
            self._show(lambda: self._draw(done))

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Called after each epoch with its metrics."""
        self._epoch, self._metrics = epoch, metrics
        if time.monotonic() >= self._next or epoch == self._epochs:
            self._show(lambda: self._draw(epoch * self._steps_per_epoch))

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _draw(self, done: int) -> None:
        text = f"epoch {self._epoch}/{self._epochs}  "
        for metric in _names(self._metrics):
            train, test = (self._metrics[f"{split}/{metric}"] for split in ("train", "test"))
            text += f"{metric} {train:.3f} test {test:.3f}  "
        self._bar.set_description_str(text, refresh=False)
        self._bar.update(done - self._done)
        self._bar.refresh()
        self._done, self._next = done, time.monotonic() + REFRESH_SECONDS


def on_terminal() -> Display:
    """Return a bar if standard error is a terminal, otherwise a display in plain lines."""
    return Bar() if sys.stderr is not None and sys.stderr.isatty() else Display()


def _names(metrics: Mapping[str, float]) -> list[str]:
    """Return the names of the test split's metrics: the loss, and accuracy or the metrics used instead."""
    return [key.removeprefix("test/") for key in metrics if key.startswith("test/")]
