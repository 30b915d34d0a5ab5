"""The short form of the fault trials: every seventh call to the disk, another one for each way it can go wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from robustness.faults import WAYS

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS)
def test_whatever_the_disk_does_the_run_goes_on_to_the_same_end(how: str) -> None:
    first = 1 + WAYS.index(how)
    command = [sys.executable, "-m", "robustness.faults", "tabular", how, str(first), "7"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    calls, *trials = map(json.loads, done.stdout.splitlines())
    assert len(trials) == len(calls["calls"][first - 1 :: 7]) > 10
    assert [trial for trial in trials if trial["wrong"]] == []
