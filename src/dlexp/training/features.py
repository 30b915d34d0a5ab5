"""The features of a frozen backbone, computed once and kept in the data directory.

They depend on the weights, the preprocessing, the data and the machine's arithmetic, which name their folder. The head
then trains on them to the same bits as if the backbone had run in every step: see `Backbone.features`.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from dlexp.config.lazy import torch
from dlexp.errors import UserError
from dlexp.runs.provenance import weights_sha256
from dlexp.storage import sealed
from dlexp.storage.atomic import write_atomically
from dlexp.storage.untrusted import file_sha256, map_array
from dlexp.training.setup.job import Job

if TYPE_CHECKING:
    from torch import Tensor

FOLDER, CHECKSUMS = "features", "checksums.json"


def use_features(job: Job, stop: Callable[[], bool]) -> None:
    """Let a job with a frozen backbone train its head on the backbone's features, read or computed now.

    It does nothing if the backbone is unfrozen later, if it sees another picture in each epoch (augmentation), or if
    `stop` returns True meanwhile.
    Raises OSError if the features cannot be written.
    """
    config = job.config
    model: Any = job.model
    transfer, augmented = config.model.transfer, config.dataset.preparation.augmentation
    if not config.feature_store or transfer.freeze != "backbone" or transfer.unfreeze_at is not None or augmented:
        return
    if not hasattr(model, "takes_features"):
        return
    folder = Path(config.data_dir) / FOLDER / _key(job)
    features = {}
    for split in job.batches.splits:
        if (kept := _features(job, split, folder, stop)) is None:
            return
        features[split] = torch.from_numpy(kept).to(job.device)
    job.batches.replace_inputs(features)
    model.takes_features = True


def _key(job: Job) -> str:
    """Return a name for all that the features' bits depend on."""
    model: Any = job.model
    facts = {
        "weights": weights_sha256(model.backbone.state_dict()),
        "architecture": job.config.model.options["architecture"],
        "preprocessing": job.preprocessing.to_mapping(),
        "data": job.hashes["data_sha256"],
        "split": job.hashes["split_sha256"],
        "precision": job.config.precision,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(job.device) if job.device.type == "cuda" else "cpu",
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": job.config.threads,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _features(job: Job, split: str, folder: Path, stop: Callable[[], bool]) -> np.ndarray | None:
    """Return the features (N, F) of a split, from their file if it is whole; None if `stop` returns True."""
    path = folder / f"{split}.npy"
    if (known := _checksum(path)) is not None and path.exists() and file_sha256(path) == known:
        kept: np.ndarray = map_array(path)
        return kept
    if (computed := _computed(job, split, stop)) is None:
        return None
    content = io.BytesIO()
    np.save(content, computed.numpy())
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())
    sealed.write_json(path.with_suffix(".json"), {"file_sha256": file_sha256(path)})
    return computed.numpy()


def _checksum(path: Path) -> str | None:
    try:
        return str(sealed.read_json(path.with_suffix(".json"))["file_sha256"])
    except (UserError, KeyError):  # they are not there, or damaged: they are computed anew
        return None


def _computed(job: Job, split: str, stop: Callable[[], bool]) -> Tensor | None:
    model: Any = job.model
    model.eval()
    parts: list[Tensor] = []
    with tqdm(total=job.batches.size(split), desc=f"features of {split}", disable=not sys.stderr.isatty()) as bar:
        for inputs, targets in job.evaluation_batches(split):
            if stop():
                return None
            with torch.inference_mode(), job.autocast():
                parts.append(model.features(inputs).float().cpu())
            bar.update(len(targets))
    return torch.cat(parts)
