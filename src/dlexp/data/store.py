"""The files of a dataset in the data directory: `<name>/{train,test}_{inputs,targets}.npy` and their checksums.

`checksums.json` is written last, so that an incomplete download is never read as data; reading verifies it.
"""

import contextlib
import errno
import hashlib
import http.client
import io
import json
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from dlexp.data.source import Samples, Source, Splits, content_digest
from dlexp.errors import JobError, UserError
from dlexp.storage.atomic import write_atomically
from dlexp.storage.locks import awaited
from dlexp.storage.untrusted import file_sha256, load_json, map_array

FILES = tuple(f"{split}_{part}.npy" for split in ("train", "test") for part in ("inputs", "targets"))
CHECKSUMS, LOCK, DOWNLOAD = "checksums.json", ".lock", ".download"


def read(name: str, source: Source, data_dir: Path) -> tuple[Splits, str]:
    """Return the verified samples, memory-mapped, and the SHA-256 of the whole; fetch files that are missing.

    Raises UserError if a file is damaged, JobError if it is missing and cannot be fetched.
    """
    if source.embedded is not None:
        splits = source.embedded()
        parts = (np.ascontiguousarray(part) for samples in splits.values() for part in samples)
        return splits, hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    if not is_complete(data_dir / name):
        fetch(name, source, data_dir)
    checksums = verify(name, source, data_dir)
    return _load(name, source, data_dir / name), hashlib.sha256(
        json.dumps(checksums, sort_keys=True).encode()
    ).hexdigest()


def is_complete(folder: Path) -> bool:
    """Whether all four files are there, written by dlexp or by another program."""
    return all((folder / file).is_file() for file in FILES)


def fetch(name: str, source: Source, data_dir: Path) -> None:
    """Fetch the published files and write them as arrays, unless they are there and undamaged.

    Raises JobError stating what to fetch by hand if there is no network.
    """
    folder = data_dir / name
    if not is_complete(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _held(folder):
                if not is_complete(folder):  # another process may have fetched them meanwhile
                    _fetch(name, source, folder)
        except OSError as error:
            raise JobError(f"{name} could not be written to {folder}: {error}") from error
    verify(name, source, data_dir)


def _fetch(name: str, source: Source, folder: Path) -> None:
    assert source.convert is not None
    try:
        with _network_timeout(30):
            splits = source.convert(folder)
    except (OSError, EOFError, RuntimeError, tarfile.TarError, http.client.HTTPException) as error:
        raise JobError(
            f"{name} is not in {folder} and could not be fetched: {error}\n"
            f"Run `dlexp data fetch {name}` with a network, or put {source.origin} into {folder}."
        ) from error
    for split, samples in splits.items():
        for part, array in zip(("inputs", "targets"), samples, strict=True):
            content = io.BytesIO()
            np.save(content, array)
            write_atomically(folder / f"{split}_{part}.npy", content.getvalue())
    _write_checksums(folder, _checksums(folder))


def verify(name: str, source: Source, data_dir: Path) -> Mapping[str, str]:
    """Return the SHA-256 of each file, after comparing it with the one stored when the file was written.

    Files that another program wrote are checked once against the source's facts, and get checksums.
    Raises UserError naming the damaged file.
    """
    folder = data_dir / name
    if not is_complete(folder):
        raise UserError(f"{name} is not in {folder}. Run `dlexp data fetch {name}`.")
    if not (folder / CHECKSUMS).exists():
        return _adopt(name, source, folder)
    try:
        stored = load_json((folder / CHECKSUMS).read_bytes())
    except ValueError:
        stored = None
    if not isinstance(stored, dict):
        raise UserError(f"{folder / CHECKSUMS} is damaged. Delete it and {folder}/*.npy, then fetch again.")
    for file in FILES:
        if file_sha256(folder / file) != stored.get(file):
            raise UserError(
                f"{folder / file} is damaged: its SHA-256 is not the one in {CHECKSUMS}. "
                f"Delete the file and {CHECKSUMS}, then run `dlexp data fetch {name}`."
            )
    _load(name, source, folder)
    return stored


def download(url: str, path: Path, md5: str) -> None:
    """Fetch a published file unless it is there and undamaged; replace a damaged one, and follow no link.

    Raises OSError or RuntimeError if it cannot be fetched, or its MD5 differs.
    """
    from torchvision.datasets.utils import check_integrity, download_url

    if check_integrity(path, md5):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=DOWNLOAD) as folder:
        download_url(url, folder, path.name, md5)
        (Path(folder) / path.name).replace(path)


def _adopt(name: str, source: Source, folder: Path) -> Mapping[str, str]:
    splits = _load(name, source, folder)
    if source.content is not None and content_digest(splits) != source.content:
        raise UserError(
            f"The files in {folder} are damaged or not {name}: their pixels or labels are not the published ones."
        )
    checksums = _checksums(folder)
    try:
        with _held(folder):
            _write_checksums(folder, checksums)
    except OSError as error:  # a shared folder that only its owner can write is checked each time
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    return checksums


def _load(name: str, source: Source, folder: Path) -> dict[str, Samples]:
    """Return the memory-mapped samples; raise UserError if an array is damaged or does not fit the dataset."""
    try:
        arrays = {file: map_array(folder / file) for file in FILES}
    except ValueError as error:
        raise UserError(
            f"A file in {folder} is damaged: {error}. Delete it, then run `dlexp data fetch {name}`."
        ) from None
    splits = {s: Samples(arrays[f"{s}_inputs.npy"], arrays[f"{s}_targets.npy"]) for s in ("train", "test")}
    channels, height, width = source.input_shape
    for (split, samples), size in zip(splits.items(), source.sizes, strict=True):
        if samples.inputs.shape != (size, height, width, channels) or samples.inputs.dtype != np.uint8:
            raise UserError(f"{folder}/{split}_inputs.npy is not {name}: {samples.inputs.dtype}{samples.inputs.shape}.")
        labels, classes = samples.targets, set(range(len(source.class_names)))
        if labels.shape != (size,) or labels.dtype.kind not in "iu" or set(np.unique(labels)) - classes:
            raise UserError(f"{folder}/{split}_targets.npy is not {name}: its labels are not those of {size} samples.")
    return splits


def _write_checksums(folder: Path, checksums: Mapping[str, str]) -> None:
    write_atomically(folder / CHECKSUMS, json.dumps(checksums, indent=2).encode())


def _checksums(folder: Path) -> dict[str, str]:
    return {file: file_sha256(folder / file) for file in FILES}


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Lock a dataset's folder, because processes write the same files; delete what a killed process left."""
    with awaited(folder / LOCK):
        for partial in folder.glob("*.part"):  # from a process that was killed
            partial.unlink()
        for partial in folder.rglob(f"{DOWNLOAD}*"):
            shutil.rmtree(partial)
        yield


@contextlib.contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)  # torchvision's downloads have none, and would hang if packets are dropped
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
