"""The parser of a verb's arguments, with help from the verb's docstring."""

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from dlexp.errors import UserError, did_you_mean

OVERRIDES = "key=value or group=option, as `dlexp list` shows them: epochs=50 model=mlp 'model.hidden_sizes=[64,32]'"


class Parser(argparse.ArgumentParser):
    """A parser that raises UserError for arguments it does not know, with the nearest known options."""

    _typed: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, and keep the arguments as they were typed."""
        self._typed = self._typed or list(args or ())
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise UserError instead of printing the usage and exiting."""
        unknown = re.search(r"unrecognized arguments: .*?(--?([^\s=]+)(=\S*)?)", message)
        options = [name for name in self._option_string_actions if name != "-h"]
        hint = did_you_mean(unknown[1].partition("=")[0], options) if unknown else ""
        if unknown and hint.startswith(" Known") and any(action.dest == "overrides" for action in self._actions):
            after = self._typed[self._typed.index(unknown[1]) + 1 :] if unknown[1] in self._typed else []
            value = unknown[3] or "=" + next(iter(after), "…")
            hint = f" A key of the config has no dashes: {unknown[2]}{value}."
        raise UserError(f"{self.prog}: {message}.{hint or f' `{self.prog} --help` says more.'}")


def parser_of(verb: Callable[..., int]) -> argparse.ArgumentParser:
    """Return a parser whose help is the verb's docstring: first its examples, then its description."""
    name = verb.__name__.rstrip("_")
    what, _, examples = (verb.__doc__ or "").partition("\n\n")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    return Parser(
        prog=f"dlexp {name}",
        usage=argparse.SUPPRESS,
        description="\n".join([*(f"  {line}" for line in lines), "", what]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
