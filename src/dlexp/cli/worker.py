"""`python -m dlexp.cli.worker` is a worker process of a sweep, which draws what its jobs leave."""

import contextlib

from dlexp.report import figures
from dlexp.sweep.worker import serve

if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # the parent's, sent to a worker that had not begun
        serve(figures.draw)
