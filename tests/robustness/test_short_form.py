"""The short form of the trials: every row of them with a few, each row in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from robustness.__main__ import ROWS

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_whatever_happens_nothing_is_lost_and_nobody_let_in(row: str) -> None:
    command = [sys.executable, "-m", "robustness", row, "--short"]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert [trial for trial in trials if trial["wrong"]] == []
    assert done.returncode == 0, done.stderr
    assert len(trials) >= 5
