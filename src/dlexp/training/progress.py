"""What a running job shows: one tqdm line on a terminal, a few plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Self

from tqdm import tqdm

REFRESH_SECONDS = 0.1
PLAIN_SECONDS = 30.0
SPLITS = ("train", "validation", "test")


class Display:
    """Shows epoch, loss and accuracy of each split, and the remaining time, on standard error."""

    def __init__(self, epochs: int, steps_per_epoch: int, done: int):
        self._epochs, self._steps_per_epoch, self._done = epochs, steps_per_epoch, done
        self._epoch = done // steps_per_epoch
        self._metrics: Mapping[str, float] = {}
        self._next = time.monotonic()
        self._bar = None
        self._silent = sys.stderr is None
        if not self._silent and sys.stderr.isatty():
            layout = "{desc}{remaining} left {bar}"
            total = epochs * steps_per_epoch
            self._bar = tqdm(total=total, initial=done, bar_format=layout, file=sys.stderr, dynamic_ncols=True)

    def step(self, done: int) -> None:
        """Called after each of the run's steps; draws ten times a second at most."""
        if self._bar is not None and time.monotonic() >= self._next:
            self._show(lambda: self._draw(done))

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Called after each epoch with its metrics; plain lines come each tenth of the run, or every 30 s."""
        self._epoch, self._metrics = epoch, metrics
        moment = time.monotonic()
        due = epoch % max(1, self._epochs // 10) == 0 or epoch == self._epochs or moment >= self._next
        if self._bar is not None and (moment >= self._next or epoch == self._epochs):
            self._show(lambda: self._draw(epoch * self._steps_per_epoch))
        elif self._bar is None and due:
            splits = (
                " ".join([split, *(f"{name} {metrics[f'{split}/{name}']:.4g}" for name in _names(metrics))])
                for split in SPLITS
                if f"{split}/loss" in metrics
            )
            line = "  ".join([f"epoch {epoch}/{self._epochs}", *splits])
            self._show(lambda: print(line, file=sys.stderr, flush=True))
            self._next = moment + PLAIN_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def _show(self, show: Callable[[], None]) -> None:
        if not self._silent:
            try:
                show()
            except OSError:  # nobody reads any more, or a full disk; that must not end a job
                self._silent = True

    def _draw(self, done: int) -> None:
        assert self._bar is not None
        text = f"epoch {self._epoch}/{self._epochs}  "
        for metric in _names(self._metrics):
            train, test = (self._metrics[f"{split}/{metric}"] for split in ("train", "test"))
            text += f"{metric} {train:.3f} test {test:.3f}  "
        self._bar.set_description_str(text, refresh=False)
        self._bar.update(done - self._done)
        self._bar.refresh()
        self._done, self._next = done, time.monotonic() + REFRESH_SECONDS


def _names(metrics: Mapping[str, float]) -> list[str]:
    """What there is of the test split: the loss, and accuracy or what stands for it."""
    return [key.removeprefix("test/") for key in metrics if key.startswith("test/")]
