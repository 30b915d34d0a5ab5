"""The exceptions that a user can cause; each message names the key, the value and the way out."""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

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


def full_memory(error: BaseException | None) -> str:
    """Return a message if the error, or one that caused it, is of a full memory; else ''."""
    while error is not None:
        on_gpu = type(error).__name__ == "OutOfMemoryError"  # PyTorch's; here it is not imported
        # PyTorch raises a RuntimeError on the CPU; NumPy a MemoryError.
        if on_gpu or isinstance(error, MemoryError) or re.search(r"DefaultCPUAllocator|not enough memory", str(error)):
            whose = "GPU" if on_gpu else "computer"
            return f"The {whose}'s memory is full: take a smaller batch_size, model or dataset."
        error = error.__cause__
    return ""


def one_line(text: str) -> str:
    """Return a text as a message can quote it: in one line, cut off if it is long."""
    text = " ".join(text.split())
    return text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Return ' Did you mean …?' with the known words nearest to `word`, else all, or ''; put `prefix` before each."""
    known = sorted(known)
    if matches := nearest(word, known):
        return f" Did you mean {' or '.join(prefix + match for match in matches)}?"
    return f" Known: {', '.join(prefix + each for each in known)}." if known else ""


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return at most three words that `word` may stand for, by the surest way that finds one.

    The ways: the same letters (MNIST, batch-size); a slip (hiden_sizes); initials (learning_rate for lr); initials
    of a part, or parts (mse_loss for mse); a similar word (cifar for cifar10).
    """
    parts, plain = _parts(word), "".join(_parts(word))
    found: dict[int, list[tuple[float, str]]] = {}
    for each in sorted(known):
        theirs = _parts(each)
        alike = SequenceMatcher(None, plain, "".join(theirs)).ratio()
        mine, others = ("".join(part for part in a if part not in b) for a, b in ((parts, theirs), (theirs, parts)))
        ways = (
            alike == 1,
            alike >= 0.85,
            len(parts) > 1 and theirs[-1:] == [_initials(parts)],
            _is_part(parts, theirs) or _is_part(theirs, parts),
            alike >= 0.65 and SequenceMatcher(None, mine, others).ratio() >= 0.4,  # not trace_steps for warmup_steps
        )
        if any(ways):
            found.setdefault(ways.index(True), []).append((-alike, each))
    return [each for _, each in sorted(found[min(found)])[:3]] if plain and found else []


def _is_part(parts: Sequence[str], others: Sequence[str]) -> bool:
    return set(parts) <= set(others) or (len(parts) > 1 and _initials(parts) in others)


def _initials(parts: Sequence[str]) -> str:
    return "".join(part[0] for part in parts)


def _parts(word: str) -> list[str]:
    """Split a name at capitals and between letters and other characters: CrossEntropyLoss is cross, entropy, loss."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[^\W\dA-Z_]+\d*|\d+", word)]
