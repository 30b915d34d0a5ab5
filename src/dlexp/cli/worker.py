"""`python -m dlexp.cli.worker` is a worker process of a sweep; it also draws the pictures of its runs."""

import contextlib

from dlexp.report import figures
from dlexp.sweep.worker import serve

if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # the parent may signal a worker that has not begun
        serve(figures.draw)
