"""Files that a stranger made: harmful ones are refused, honest ones are read."""

import hashlib
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dlexp.errors import UserError
from dlexp.storage import sealed, untrusted


class Call:
    """An object that is pickled as a call that makes a file."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("pwned",)


MAKERS = {
    "a link": lambda path: path.symlink_to("file"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a folder": lambda path: path.mkdir(),
    "a queue": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("mode", ["rb", "r+", "w", "a+"])
def test_only_regular_files_are_opened(make: Callable[[Path], object], mode: str) -> None:
    path, file = Path("it"), Path("file")
    file.write_text("kept")
    make(path)
    with pytest.raises(UserError, match="it is a link, a folder or a device"):
        untrusted.open_regular(path, mode)
    assert not untrusted.is_regular(path)
    assert file.read_text() == "kept" and not Path("nothing").exists()


def test_a_regular_file_is_opened_and_read() -> None:
    path = Path("file")
    with untrusted.open_regular(path, "w", encoding="utf-8") as file:
        file.write("é")
    assert untrusted.is_regular(path) and untrusted.read_bytes(path) == "é".encode()
    assert untrusted.file_sha256(path) == hashlib.sha256("é".encode()).hexdigest()
    with pytest.raises(FileNotFoundError):
        untrusted.open_regular(Path("nothing"))


def test_a_folder_that_is_a_link_is_refused_with_the_reason() -> None:
    Path("folder").mkdir()
    untrusted.refuse_link(Path("folder"), "unused")
    Path("link").symlink_to("folder")
    with pytest.raises(UserError, match=r"link is a link: the reason\."):
        untrusted.refuse_link(Path("link"), "the reason.")


def test_a_file_that_is_too_large_is_refused() -> None:
    with Path("large").open("wb") as file:
        file.truncate(untrusted.LARGEST + 1)
    with pytest.raises(UserError, match="268,435,457 bytes, and was not read"):
        untrusted.read_bytes(Path("large"))
    assert untrusted.read_at_most(io.BytesIO(b"123"), 3) == b"123"
    with pytest.raises(ValueError, match="more than 3 bytes"):
        untrusted.read_at_most(io.BytesIO(b"1234"), 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: [1e-3, 1.5, yes, null, x]", {"a": [0.001, 1.5, True, None, "x"]}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
    ],
)
def test_yaml_is_read_as_plain_values(text: str, value: object) -> None:
    assert untrusted.load_yaml(text) == value


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "flow node"),
        ("a: 1\na: 2", "a is given twice"),
        ("? \n: 1", "a key is empty"),
        ("a: !!python/object/apply:os.mkdir [pwned]", "could not determine a constructor"),
        ("a: &a [*a]", "contains itself"),
        (BOMB, "repeat too much"),
        ("[" * 100_000 + "]" * 100_000, "recursion|nest"),
        (b"\xff\xfe\xfa", "codec|unacceptable|invalid"),
    ],
)
def test_invalid_and_harmful_yaml_is_refused(text: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        untrusted.load_yaml(text)


@pytest.mark.parametrize("text", [b"{", b"[" * 100_000, b"\xff"])
def test_invalid_and_too_deep_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        untrusted.load_json(text)


@pytest.mark.parametrize("mapping", [{"a": "${oc.env:HOME}"}, {"a": [{"b": "x${c}"}]}, {"${a}": 1}])
def test_interpolations_are_refused_at_any_depth(mapping: dict) -> None:
    untrusted.refuse_interpolations({"a": ["$", "{", 1, None]})
    with pytest.raises(ValueError, match="no \\$"):
        untrusted.refuse_interpolations(mapping)


def test_a_folder_with_a_config_whose_aliases_multiply_is_refused() -> None:
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/fine.yaml").write_text("a: &x [1]\nb: *x")
    for name, text in (("two", "a: '*'\n---\nb: 1"), ("tag", "a: !Ref &x x\nb: *x"), ("twice", "a: &x 1\na: *x")):
        Path(f"conf/{name}.yaml").write_text(text)
    untrusted.refuse_alias_bombs(Path("conf"))
    Path("conf/model/bomb.yaml").write_text(BOMB)
    with pytest.raises(UserError, match=r"bomb\.yaml is not a config: its aliases repeat"):
        untrusted.refuse_alias_bombs(Path("conf"))


def archive(content: object, how: int = zipfile.ZIP_STORED) -> bytes:
    """Return what torch.save writes, its members packed again."""
    saved, packed = io.BytesIO(), io.BytesIO()
    torch.save(content, saved)
    with zipfile.ZipFile(saved) as opened, zipfile.ZipFile(packed, "w", how) as again:
        for name in opened.namelist():
            again.writestr(name, opened.read(name))
    return packed.getvalue()


def test_tensors_and_plain_values_are_loaded() -> None:
    loaded = untrusted.load_tensors(archive({"a": torch.arange(3), "b": [1, "x", None]}))
    assert loaded["a"].tolist() == [0, 1, 2] and loaded["b"] == [1, "x", None]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: archive({"a": Call()}), "holds more than tensors"),
        (lambda: archive({"a": torch.zeros(9)}, zipfile.ZIP_DEFLATED), "it is compressed"),
        (lambda: archive({"a": torch.zeros(999)})[:-100], "is not an archive of tensors"),
        (lambda: b"", "is not an archive of tensors"),
    ],
)
def test_damaged_archives_and_those_that_call_functions_are_refused(content: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        untrusted.load_tensors(content())
    assert not Path("pwned").exists()


def test_a_member_that_claims_more_than_the_archive_holds_is_refused() -> None:
    content = bytearray(archive({"a": torch.zeros(9)}))
    at = content.index(b"PK\1\2")
    content[at + 20 : at + 28] = (2**31 - 1).to_bytes(4, "little") * 2
    with pytest.raises(ValueError, match="shorter than its parts"):
        untrusted.load_tensors(bytes(content))


def test_only_arrays_are_unpickled() -> None:
    batch = untrusted.load_pickled_arrays(pickle.dumps({"data": np.arange(4, dtype=np.uint8), "labels": [1]}, 2))
    assert batch["data"].tolist() == [0, 1, 2, 3] and batch["labels"] == [1]
    with pytest.raises(ValueError, match=r"it names posix\.mkdir"):
        untrusted.load_pickled_arrays(pickle.dumps({"data": Call()}))
    assert not Path("pwned").exists()


def test_arrays_are_mapped_and_pickles_in_them_are_refused() -> None:
    np.save("good.npy", np.arange(4))
    assert untrusted.map_array(Path("good.npy")).tolist() == [0, 1, 2, 3]
    np.save("pickle.npy", np.array([Call()], dtype=object), allow_pickle=True)
    Path("cut.npy").write_bytes(Path("good.npy").read_bytes()[:-1])
    for name in ("pickle.npy", "cut.npy", "missing.npy"):
        with pytest.raises(ValueError):
            untrusted.map_array(Path(name))
    assert not Path("pwned").exists()


CONTENT = {"lr": 0.001, "sizes": [5, 5], "name": "é"}
KINDS: dict[str, tuple[Callable[[Path], object], Callable[[Path], dict]]] = {
    "yaml": (lambda path: sealed.write_yaml(path, CONTENT, "A comment."), sealed.read_yaml),
    "json": (lambda path: sealed.write_json(path, CONTENT), sealed.read_json),
    "tensors": (lambda path: sealed.write_tensors(path, CONTENT), sealed.read_tensors),
}


@pytest.mark.parametrize(("write", "read"), KINDS.values(), ids=KINDS)
def test_no_damage_to_a_sealed_file_changes_what_is_read(
    write: Callable[[Path], object], read: Callable[[Path], dict]
) -> None:
    path, refused = Path("it"), 0
    write(path)
    assert read(path) == CONTENT
    whole = path.read_bytes()
    positions = range(0, len(whole), 1 + len(whole) // 200)
    for at in positions:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            assert {**read(path), **CONTENT}.items() == read(path).items(), f"byte {at}"
        except UserError:
            refused += 1
    assert refused > len(positions) / 2, "all but changes of a comment, of spaces and of the seal's own name"
    for length in (0, 10, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError):
            read(path)


@pytest.mark.parametrize(("kind", "text"), [("yaml", "lr: 0.1\n"), ("json", '{"lr": 0.1}')])
def test_files_of_versions_without_seals_are_read(kind: str, text: str) -> None:
    Path("it").write_text(text)
    assert getattr(sealed, f"read_{kind}")(Path("it")) == {"lr": 0.1}


@pytest.mark.parametrize(("kind", "text"), [("yaml", "[1]"), ("json", "[1]"), ("tensors", "[1]")])
def test_a_file_that_is_not_a_mapping_is_damaged(kind: str, text: str) -> None:
    Path("it").write_text(text)
    with pytest.raises(UserError, match="it is damaged"):
        getattr(sealed, f"read_{kind}")(Path("it"))


def test_torch_opens_a_sealed_checkpoint() -> None:
    sealed.write_tensors(Path("it"), {"a": torch.ones(2)})
    assert torch.load("it", weights_only=True)["a"].tolist() == [1, 1]
