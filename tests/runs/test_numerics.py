"""Whoever changes the bits of training raises NUMERICS_VERSION: finished sweeps must not count as done any more.

`python -m runs.test_numerics`, from tests/, records in numerics.json what this version, PyTorch and processor give.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import KINDS, train

from dlexp.runs.provenance import NUMERICS_VERSION
from dlexp.training import checkpoint

RECORDED = Path(__file__).with_name("numerics.json")
HERE = {"numerics": NUMERICS_VERSION, "torch": torch.__version__, "processor": torch.backends.cpu.get_cpu_capability()}
TOLERANCE = {"bfloat16": 1e-2}  # of the norms on another processor or with another PyTorch; else 1e-3
WAY_OUT = (
    "Is this meant? Then raise NUMERICS_VERSION in src/dlexp/runs/provenance.py, so that finished sweeps run again, "
    "and record anew: cd tests && python -m runs.test_numerics"
)


def measured(kind: str) -> dict[str, Any]:
    """Train one tiny net on one thread; return the hash of its weights, and the norm of each matrix."""
    state = checkpoint.load(train(*KINDS[kind], "threads=1", f"name={kind}").checkpoints()[0])["model"]
    digest = hashlib.sha256()
    for name, weight in state.items():
        digest.update(name.encode() + weight.contiguous().numpy().tobytes())
    # Without biases: of one before a batch norm the gradient is rounding alone, which Adam makes whole steps of.
    norms = {name: round(weight.double().norm().item(), 6) for name, weight in state.items() if weight.dim() > 1}
    return {"sha256": digest.hexdigest(), "norms": norms}


def recorded() -> list[dict[str, Any]]:
    """What was recorded for this NUMERICS_VERSION, on whatever machine."""
    found = json.loads(RECORDED.read_text()) if RECORDED.exists() else []
    return [each for each in found if each["numerics"] == NUMERICS_VERSION]


@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_are_those_of_this_numerics_version(kind: str) -> None:
    found, known = measured(kind), recorded()
    assert known, f"Nothing is recorded for NUMERICS_VERSION {NUMERICS_VERSION}. {WAY_OUT}"
    for each in known:
        if {key: each[key] for key in HERE} == HERE:
            assert found["sha256"] == each["kinds"][kind]["sha256"], f"The bits of {kind} have changed. {WAY_OUT}"
    near = pytest.approx(found["norms"], rel=TOLERANCE.get(kind, 1e-3), abs=1e-6)
    assert any(each["kinds"][kind]["norms"] == near for each in known), f"The weights of {kind} are others. {WAY_OUT}"


def record() -> None:
    """Add this machine's results to those of this NUMERICS_VERSION; drop those of earlier ones."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        here = {**HERE, "kinds": {kind: measured(kind) for kind in KINDS}}
    others = [each for each in recorded() if {key: each[key] for key in HERE} != HERE]
    RECORDED.write_text(json.dumps([*others, here], indent=1) + "\n")


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    record()
