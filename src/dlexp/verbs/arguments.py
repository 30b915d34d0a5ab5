"""What the verbs share: a parser made of a verb's docstring."""

import argparse
from collections.abc import Callable

OVERRIDES = "key=value or group=option, as `dlexp list` shows them: epochs=50 model=mlp model.hidden_sizes=[64,32]"


def parser_of(verb: Callable[..., int]) -> argparse.ArgumentParser:
    """Return a parser whose help is the verb's docstring: its examples first, then what it does."""
    name = verb.__name__.rstrip("_")
    what, _, examples = (verb.__doc__ or "").partition("\n\n")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    return argparse.ArgumentParser(
        prog=f"dlexp {name}",
        usage=argparse.SUPPRESS,
        description="\n".join([*(f"  {line}" for line in lines), "", what]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
