"""Files are written completely or not at all, and half-written files of killed processes are deleted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlexp.storage.atomic import clear_partial, lives, write_atomically


@pytest.fixture
def dead() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_and_no_other_file_is_left(durable: bool) -> None:
    for content in (b"old", b"new"):
        write_atomically(Path("file"), content, durable=durable)
        assert Path("file").read_bytes() == content and names() == ["file"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_content(failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no room")

    write_atomically(Path("file"), b"old")
    monkeypatch.setattr(*((os, "fsync") if failing == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="no room"):
        write_atomically(Path("file"), b"new")
    assert Path("file").read_bytes() == b"old" and names() == ["file"]


def test_a_link_in_the_place_of_the_temporary_file_is_not_written_through() -> None:
    Path("elsewhere").write_text("kept")
    Path(f"file.{os.getpid()}.part").symlink_to("elsewhere")
    write_atomically(Path("file"), b"new")
    assert Path("elsewhere").read_text() == "kept" and Path("file").read_bytes() == b"new"


def test_half_written_files_are_deleted_unless_their_process_lives(dead: int) -> None:
    ours, theirs = os.getpid(), os.getppid()
    for name in (f"a.{dead}.part", f"a.{ours}.part", f"a.{theirs}.part", "mine.part", "my.notes.part"):
        Path(name).touch()
    Path(f"folder.{dead}.part").mkdir()
    Path(f"link.{dead}.part").symlink_to("mine.part")
    clear_partial(Path().glob("*.part"))
    assert names() == sorted([f"a.{theirs}.part", f"folder.{dead}.part", "mine.part", "my.notes.part"])


def test_only_an_existing_process_lives(dead: int) -> None:
    assert lives(str(os.getpid())) and lives("1")
    assert not lives(str(dead)) and not lives("x") and not lives("9" * 30)
