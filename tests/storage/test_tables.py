"""Tables grow row by row, and are cut back to their length in a checkpoint."""

import hashlib
from pathlib import Path

import pytest

from dlexp.errors import UserError
from dlexp.storage.tables import Table
from dlexp.storage.untrusted import check_head

PATH = Path("table.csv")


def grown(*steps: int) -> tuple[int, str]:
    """Make a table of some steps; return the result of `sync`."""
    table = Table(PATH, ("step", "loss"))
    for step in steps:
        table.append({"loss": 1 / step, "step": step, "unasked": None})
    synced = table.sync()
    table.close()
    return synced


def test_rows_have_the_columns_in_order_and_floats_in_full() -> None:
    length, digest = grown(1, 3)
    content = PATH.read_bytes()
    assert content == b"step,loss\n1,1.0\n3,0.3333333333333333\n"
    assert (length, digest) == (len(content), hashlib.sha256(content).hexdigest())


def test_other_processes_see_rows_once_flushed() -> None:
    table = Table(PATH, ("step",))
    table.append({"step": 1})  # the first is shown at once
    table.append({"step": 2})
    assert PATH.read_text() == "step\n1\n"
    table.flush()
    assert PATH.read_text() == "step\n1\n2\n"
    table.close()


def test_a_continued_table_is_cut_back_and_ends_like_one_that_was_never_stopped() -> None:
    whole = grown(1, 2, 3)
    content = PATH.read_bytes()
    length, _ = grown(1, 2)
    PATH.write_bytes(PATH.read_bytes() + b"9,half a r")
    table = Table(PATH, ("step", "loss"), length)
    assert not table.is_new
    table.append({"step": 3, "loss": 1 / 3})
    assert table.sync() == whole and PATH.read_bytes() == content
    table.close()


def test_a_new_table_replaces_an_old_file() -> None:
    PATH.write_text("something longer than a header of another run")
    table = Table(PATH, ("step",))
    table.close()
    assert table.is_new and PATH.read_text() == "step\n"


def test_a_link_in_the_place_of_a_table_is_not_written() -> None:
    Path("elsewhere").write_text("kept")
    PATH.symlink_to("elsewhere")
    for length in (0, 2):
        with pytest.raises(UserError, match="is a link"):
            Table(PATH, ("step",), length)
    assert Path("elsewhere").read_text() == "kept"


def test_a_table_may_grow_after_its_checkpoint() -> None:
    length, digest = grown(1, 2)
    check_head(PATH, length, digest)
    PATH.write_bytes(PATH.read_bytes() + b"more")
    check_head(PATH, length, digest)
    check_head(PATH, length, None)
    check_head(Path("nothing"), 0, None)


@pytest.mark.parametrize(
    ("content", "sealed"),
    [
        (b"step,loss\n1,2.0\n2,0.5\n", True),  # a figure was changed
        (b"step,loss\n1,1.0\n2,0.", True),
        (b"step,loss\n1,1.0\n2,0.", False),  # older versions knew lengths alone
        (b"", False),
        (None, False),
    ],
)
def test_a_table_whose_first_bytes_changed_is_refused(content: bytes | None, sealed: bool) -> None:
    length, digest = grown(1, 2)
    PATH.unlink()
    if content is not None:
        PATH.write_bytes(content)
    with pytest.raises(UserError, match="is not as it was when the checkpoint was saved"):
        check_head(PATH, length, digest if sealed else None)


@pytest.mark.parametrize("length", [-1, 2**62])
def test_an_impossible_length_is_refused(length: int) -> None:
    grown(1)
    with pytest.raises(UserError, match="is not as it was"):
        check_head(PATH, length, None)
