"""The exceptions that a user can cause; each message names the key, the value and the way out."""

from collections.abc import Iterable
from difflib import get_close_matches

QUOTED = 200  # characters of the user's input that a message quotes


class DlexpError(Exception):
    """An error with one message for the user; `exit_code` is the process's."""

    exit_code = 1


class UserError(DlexpError):
    """The user's input is wrong, and nothing was started."""

    exit_code = 2


class FixedLengthError(UserError):
    """A finished run's schedule does not let it be extended."""


class JobError(DlexpError):
    """A job with valid input could not continue (for example no room on the disk, or a loss that is not a number)."""


def one_line(text: str) -> str:
    """Return a text as a message can quote it: in one line, cut off if it is long."""
    text = " ".join(text.split())
    return text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Return ' Did you mean …?' with the known words nearest to `word`, else all, or ''; put `prefix` before each."""
    known = sorted(known)
    matches = get_close_matches(word, known, n=3, cutoff=0.6)
    if matches:
        return f" Did you mean {' or '.join(prefix + match for match in matches)}?"
    return f" Known: {', '.join(prefix + each for each in known)}." if known else ""
