"""The global state of the process that a run changes: dlexp restores it for its caller."""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from omegaconf.basecontainer import BaseContainer

from dlexp.config.lazy import torch

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def unchanged() -> Iterator[None]:
    """Restore the process's global state at the end, also after an exception.

    This is PyTorch's determinism, threads, default dtype and gradient mode; every global random state; `sys.path`,
    cuBLAS' environment variable, and OmegaConf's resolvers. The code that uses Hydra, signals or sockets restores them.
    """
    path, cublas, resolvers = list(sys.path), os.environ.get(CUBLAS), dict(BaseContainer._resolvers)
    mode, fill = torch.get_deterministic_debug_mode(), torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    benchmark, threads, dtype = torch.backends.cudnn.benchmark, torch.get_num_threads(), torch.get_default_dtype()
    gradients, python, numpy = torch.is_grad_enabled(), random.getstate(), np.random.get_state()
    cpu, seed = torch.get_rng_state(), torch.initial_seed()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        sys.path[:], BaseContainer._resolvers = path, resolvers
        if cublas is None:
            os.environ.pop(CUBLAS, None)
        torch.set_deterministic_debug_mode(mode)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = benchmark
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda is None:
            torch.cuda.manual_seed_all(seed)  # the seed that CUDA begins with
        else:
            torch.cuda.set_rng_state_all(cuda)
