"""Files that carry the SHA-256 of their content: YAML in a comment, JSON under a key, tensors in the ZIP's comment.

Any program that reads YAML, JSON or PyTorch's archives can read them. Files of older versions may have no seal.
"""

import io
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from dlexp.errors import UserError
from dlexp.storage.atomic import write_atomically
from dlexp.storage.untrusted import check_seal, load_json, load_tensors, load_yaml, open_regular, read_bytes, seal

_YAML_SEAL = "# SHA-256 of the lines below: "
_DIGITS = 64  # in a SHA-256
_ZIP_SEAL = struct.pack("<H", _DIGITS)  # the length of a ZIP archive's comment; the comment follows


def write_yaml(path: Path, mapping: Mapping[str, Any], comment: str) -> None:
    """Write a mapping as YAML below a comment and the seal."""
    text = OmegaConf.to_yaml(OmegaConf.create(dict(mapping)))
    write_atomically(path, f"# {comment}\n{_YAML_SEAL}{seal(text)}\n{text}".encode())


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML file's mapping; raise UserError if it is damaged or was edited."""
    try:
        text = read_bytes(path).decode()
        mapping = load_yaml(text)
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}") from None
    _, is_sealed, lines = text.partition(_YAML_SEAL)
    if is_sealed:
        found, _, content = lines.partition("\n")
        check_seal(path, found, content)
    if not isinstance(mapping, dict):
        raise UserError(f"{path} is damaged: it has no keys.")
    return {str(key): value for key, value in mapping.items()}


def write_json(path: Path, content: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write an object of plain values with finite numbers as JSON, with the seal under the key `sha256`."""
    sealed = {**content, "sha256": seal(json.dumps(content, sort_keys=True))}
    text = json.dumps(sealed, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode(), durable=durable)


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file's object; raise UserError if it is missing, damaged or was edited."""
    try:
        content = load_json(read_bytes(path))
    except FileNotFoundError:
        raise UserError(f"{path.parent} has no {path.name}.") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it is not an object.")
    if (found := content.pop("sha256", None)) is not None:
        check_seal(path, found, json.dumps(content, sort_keys=True))
    return content


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values as `torch.save` does, with the archive's seal as its comment."""
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    archive = buffer.getvalue()
    assert archive[-22:-18] == b"PK\5\6" and archive[-2:] == b"\0\0", "not a ZIP archive without a comment"
    write_atomically(path, seal_archive(archive))


def read_tensors(path: Path) -> Any:
    """Return the content that `write_tensors` wrote, on the CPU; raise UserError if it is missing or damaged."""
    try:
        with open_regular(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(_ZIP_SEAL) - _DIGITS))
            if file.read(len(_ZIP_SEAL)) != _ZIP_SEAL:  # do not read a large file that is not a checkpoint
                raise UserError(f"{path} is damaged: it does not end like a checkpoint.")
            file.seek(0)
            content = file.read()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    archive = content[: -len(_ZIP_SEAL) - _DIGITS] + b"\0\0"  # as torch.save wrote it: the comment's length is 0
    check_seal(path, content[-_DIGITS:].decode(errors="replace"), archive)
    try:
        return load_tensors(archive)
    except ValueError as error:
        raise UserError(f"{path} {error}") from None


def seal_archive(archive: bytes) -> bytes:
    """Add the seal as a comment to a ZIP archive that has none."""
    return archive[:-2] + _ZIP_SEAL + seal(archive).encode()
