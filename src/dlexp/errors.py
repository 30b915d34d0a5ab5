"""The exceptions that a user can cause; each message names the key, the value and the way out."""

from collections.abc import Iterable
from difflib import get_close_matches

QUOTED = 200  # characters of what was typed, in a message


class DlexpError(Exception):
    """What went wrong, in one message for the user; `exit_code` is the process's."""

    exit_code = 1


class UserError(DlexpError):
    """The user's input is wrong, and nothing was started."""

    exit_code = 2


class FixedLengthError(UserError):
    """A finished run's schedule does not let it be extended."""


class JobError(DlexpError):
    """A job that was rightly started could not go on (no room on the disk, a loss that is not a number)."""


def one_line(text: str) -> str:
    """Return a text as a message can quote it: in one line, and not all of it where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Return ' Did you mean …?' for the known words nearest to `word`, each after `prefix`, or all of them, or ''."""
    known = sorted(known)
    matches = get_close_matches(word, known, n=3, cutoff=0.6)
    if matches:
        return f" Did you mean {' or '.join(prefix + match for match in matches)}?"
    return f" Known: {', '.join(prefix + each for each in known)}." if known else ""
