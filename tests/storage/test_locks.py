"""Lock files: one process holds a file, and its lock ends with the process, however it ends."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dlexp.errors import UserError
from dlexp.storage.locks import awaited, held, is_held, taken

PATH = Path("lock")


@contextmanager
def other(how: str) -> Iterator[subprocess.Popen]:
    """Start another process that holds the file by `how` until it reads a line or is killed."""
    program = f"""
import sys
from pathlib import Path
from dlexp.storage.locks import awaited, held
with {how}:
    print("held", flush=True)
    sys.stdin.readline()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen, number: int) -> None:
    process.send_signal(number)
    process.wait()


def test_a_held_file_has_its_holder_s_number_and_is_free_afterwards() -> None:
    assert not is_held(PATH)
    with held(PATH, "it"):
        assert is_held(PATH) and PATH.read_text() == str(os.getpid())
    assert not is_held(PATH) and PATH.read_text() == ""


def test_another_process_is_refused_with_the_holder_s_number() -> None:
    with other("held(Path('lock'), 'it')") as process:
        assert is_held(PATH)
        with pytest.raises(UserError, match=rf"^The run is in use by process {process.pid}\.$"), held(PATH, "The run"):
            pass
        assert PATH.read_text() == str(process.pid), "a refused process changes nothing"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_killed_process_is_free(number: int) -> None:
    with other("held(Path('lock'), 'it')") as process:
        end(process, number)
        assert PATH.read_text() == str(process.pid), "its number is still there"
        assert not is_held(PATH)
        with held(PATH, "it"):
            assert PATH.read_text() == str(os.getpid())


def test_a_failure_inside_frees_the_file() -> None:
    with pytest.raises(ZeroDivisionError), held(PATH, "it"):
        raise ZeroDivisionError
    assert not is_held(PATH)


def test_a_process_that_only_checks_the_lock_is_waited_for() -> None:
    looking = PATH.open("a")
    assert taken(looking.fileno())
    threading.Timer(0.3, looking.close).start()
    with held(PATH, "it"):
        assert is_held(PATH)


def test_an_awaited_file_is_held_when_the_other_process_releases_it() -> None:
    with other("awaited(Path('lock'))") as process:
        waiting = subprocess.Popen(
            [
                *(sys.executable, "-c"),
                "from pathlib import Path\nfrom dlexp.storage.locks import awaited\n"
                "with awaited(Path('lock')): print('held', flush=True)",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=1)
        end(process, signal.SIGKILL)
        assert waiting.communicate(timeout=10)[0] == "held\n"
    with awaited(PATH):
        assert is_held(PATH)


@pytest.mark.parametrize("hold", [lambda: held(PATH, "it"), lambda: awaited(PATH)])
def test_a_link_is_not_followed(hold) -> None:  # type: ignore[no-untyped-def]
    Path("elsewhere").write_text("kept")
    PATH.symlink_to("elsewhere")
    with pytest.raises(UserError, match="is a link"), hold():
        pass
    assert not is_held(PATH) and Path("elsewhere").read_text() == "kept"


def test_two_processes_can_check_a_lock_at_once() -> None:
    with PATH.open("w") as one, PATH.open() as two:
        assert taken(one.fileno(), fcntl.LOCK_SH) and taken(two.fileno(), fcntl.LOCK_SH)
        assert not taken(two.fileno()), "it is taken exclusively beside a shared lock"
        one.close()
        assert taken(two.fileno())
