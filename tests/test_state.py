"""What a call from Python leaves of the process's global state: all of it as it was."""

import copy
import os
import random
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import sklearn.model_selection  # noqa: F401 - which sets KMP_INIT_AT_FORK once, when it is imported
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf.basecontainer import BaseContainer

import dlexp
from dlexp.errors import DlexpError


def state() -> dict[str, object]:
    name, keys, *rest = np.random.get_state()
    return {
        "deterministic": torch.get_deterministic_debug_mode(),
        "fill_uninitialized_memory": torch.utils.deterministic.fill_uninitialized_memory,
        "benchmark": torch.backends.cudnn.benchmark,
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "torch": torch.get_rng_state().tolist(),
        "cuda": [each.tolist() for each in torch.cuda.get_rng_state_all()] if torch.cuda.is_initialized() else None,
        "numpy": (name, keys.tolist(), *rest),
        "python": random.getstate(),
        "path": list(sys.path),
        "arguments": list(sys.argv),
        "environment": dict(os.environ),
        "hydra": GlobalHydra.instance().hydra,
        "resolvers": dict(BaseContainer._resolvers),
        "signals": {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)},
        "timeout": socket.getdefaulttimeout(),
        "matplotlib": copy.deepcopy(dict(matplotlib.rcParams)),
    }


def trained(*overrides: str) -> "dlexp.training.run.Run":
    return dlexp.train(["epochs=2", "threads=3", "precision=float64", "imports=[mine_models]", *overrides])


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(DlexpError):
        call()


@pytest.fixture(autouse=True)
def _other_than_usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_models.py").write_text("")
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(BaseContainer, "_resolvers", {k: BaseContainer._resolvers[k] for k in ("oc.env", "oc.select")})
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "call",
    [
        lambda run: trained(),
        lambda run: refused(lambda: trained("optimizer.lr=-1")),
        lambda run: refused(lambda: trained("loss=binary_cross_entropy")),  # once it is built
        lambda run: refused(
            lambda: trained("dataset=linear_map", "loss=mse", "optimizer=sgd", "optimizer.lr=1e20", "epochs=50")
        ),  # amid its steps
        lambda run: dlexp.train(["demonstration=linear_rank"]),
        lambda run: dlexp.resume(run.path, ["epochs=3"]),
        lambda run: refused(lambda: dlexp.resume(run.path, ["epochs=1"])),
        lambda run: run.load_model(),
    ],
    ids=[
        "train",
        "a wrong value",
        "a misfit",
        "a loss that is infinite",
        "demonstrate",
        "resume",
        "a refused resume",
        "load_model",
    ],
)
def test_the_process_is_as_it_was(call: Callable[["dlexp.training.run.Run"], object]) -> None:
    before = state()
    run = trained("name=before")
    call(dlexp.load_run(str(run.path)))
    after = state()
    assert [key for key in before if before[key] != after[key]] == []


def test_threads_auto_means_the_same_in_a_second_run() -> None:
    usual = torch.get_num_threads()
    dlexp.train(["epochs=1", f"threads={usual + 2}"])
    assert dlexp.train(["epochs=1"]).config.threads == usual
