"""What a running job shows: one tqdm line on a terminal, a few plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm

REFRESH_SECONDS = 0.1
PLAIN_SECONDS = 30.0


class Display:
    """Shows epoch, loss and accuracy of train and test, and the remaining time, on standard error."""

    def __init__(self, epochs: int, steps_per_epoch: int, done: int):
        self._epochs, self._steps_per_epoch, self._done = epochs, steps_per_epoch, done
        self._bar = None
        self._next = time.monotonic()
        self._text = ""
        if sys.stderr.isatty():
            layout = "{percentage:3.0f}% {bar} {desc} [{elapsed} < {remaining}]"
            total = epochs * steps_per_epoch
            self._bar = tqdm(total=total, initial=done, bar_format=layout, file=sys.stderr, dynamic_ncols=True)

    def step(self, done: int) -> None:
        """Called after each of the run's steps; draws ten times a second at most."""
        if self._bar is not None and time.monotonic() >= self._next:
            self._draw(done)

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Called after each epoch with its metrics; plain lines come each tenth of the run, or every 30 s."""
        moment = time.monotonic()
        if self._bar is not None:
            if moment >= self._next or epoch == self._epochs:
                self._text = _described(epoch, self._epochs, metrics)
                self._draw(epoch * self._steps_per_epoch)
        elif epoch % max(1, self._epochs // 10) == 0 or moment >= self._next or epoch == self._epochs:
            print(_described(epoch, self._epochs, metrics), file=sys.stderr, flush=True)
            self._next = moment + PLAIN_SECONDS

    def close(self) -> None:
        """Leave the line as it is."""
        if self._bar is not None:
            self._bar.close()

    def _draw(self, done: int) -> None:
        assert self._bar is not None
        self._bar.set_description_str(self._text, refresh=False)
        self._bar.update(done - self._done)
        self._bar.refresh()
        self._done, self._next = done, time.monotonic() + REFRESH_SECONDS


def _described(epoch: int, epochs: int, metrics: Mapping[str, float]) -> str:
    parts = [f"epoch {epoch}/{epochs}"]
    for split in ("train", "validation", "test"):
        if f"{split}/loss" in metrics:
            parts.append(f"{split} loss {metrics[f'{split}/loss']:.4g} accuracy {metrics[f'{split}/accuracy']:.4f}")
    return "  ".join(parts)
