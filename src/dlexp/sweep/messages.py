"""The messages between a sweep and its workers: typed, each a line of JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dlexp.config import schema
from dlexp.errors import UserError


@dataclass(frozen=True)
class Train:
    """To a worker: train this job, or resume its run."""

    config: Mapping[str, Any]  # a checked config, as `to_mapping` gives it
    job: str  # the job's hash
    command: tuple[str, ...]  # the command of this job alone
    run: str | None = None  # the job's existing run
    fresh: bool = False  # ignore existing runs
    device: str | None = None  # instead of the config's


@dataclass(frozen=True)
class Check:
    """To a worker: build each of these jobs, and train none."""

    configs: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Progress:
    """From a worker: how far its job is."""

    text: str


@dataclass(frozen=True)
class Ended:
    """From a worker: how its job ended, where, and why if it failed."""

    status: str
    run: str | None = None
    message: str = ""
    signal: int | None = None
    exit_code: int = 0
    said: tuple[str, ...] = ()  # dlexp's warnings, for the terminal
    seconds: float = 0.0


@dataclass(frozen=True)
class Refused:
    """From a worker: why a job of its Check does not fit together; None if all do."""

    message: str | None


Message = Train | Check | Progress | Ended | Refused
_TYPES: dict[str, type[Message]] = {each.__name__: each for each in (Train, Check, Progress, Ended, Refused)}


def encode(message: Message) -> str:
    """Return the message as one line of JSON."""
    return json.dumps({"type": type(message).__name__, **asdict(message)}) + "\n"


def decode(line: str | bytes) -> Message:
    """Return the message in a line. Raises ValueError for a line that holds none."""
    try:
        content = json.loads(line)
        options = schema.bind(kind := _TYPES[content.pop("type")], content, "")
    except (ValueError, KeyError, AttributeError, TypeError, UserError) as error:
        raise ValueError(f"not a message: {line!r}") from error
    return kind(**options)
