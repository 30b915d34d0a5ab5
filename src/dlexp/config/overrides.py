"""Overrides as a user types them, in Hydra's grammar: key=value or group=option.

Every function here refuses one of a wrong form, and says how to write it.
"""

import re
from collections.abc import Sequence

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from dlexp.config.keys import TEXT
from dlexp.config.renamed import refuse_former
from dlexp.errors import UserError, one_line

_PLUGINS = ("hydra/launcher=", "hydra.launcher.", "hydra/sweeper", "hydra.sweeper.")
# ValueError: bytes that are not UTF-8, a number with more digits than Python reads, and Hydra's own if `defaults` is no
# list; RecursionError: nested too deeply.
COMPOSING = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, RecursionError)
_PLAIN = re.compile(r"(?!(true|false|inf|nan)$)[a-z/][\w./:@-]*", re.ASCII | re.IGNORECASE)  # read by Hydra as it is


def parse(overrides: Sequence[str]) -> list[Override]:
    """Return the overrides parsed by Hydra; raise UserError if one has a wrong form or sets Hydra itself."""
    parser = OverridesParser.create()
    parsed = []
    for i, each in enumerate(overrides):
        try:
            override = parser.parse_override(_quoted(each))
        except COMPOSING as error:
            why = _misread(overrides, i) or f"put text in quotes, '{each.partition('=')[0]}=\"…\"' ({_brief(error)})."
            raise UserError(f"{one_line(each)!r} is not of the form key=value: {why}") from None
        if override.package is not None or not override.key_or_group:
            raise UserError(f"{each}: packages (@) are not supported; write key=value or group=option.")
        refuse_former(override.key_or_group, each)
        if re.search(r"([\[{]\s*){50}", each):
            raise UserError(f"{one_line(each)} is nested too deeply.")
        if override.is_hydra_override():
            raise UserError(
                f"{each}: settings of Hydra itself cannot be changed, except its launchers and sweepers with "
                "`dlexp train -m`; output_dir and name say where runs go."
            )
        parsed.append(override)
    return parsed


def parse_last(overrides: Sequence[str]) -> list[Override]:
    """Return the parsed overrides without those whose key a later one sets again."""
    return list({override.key_or_group: override for override in parse(overrides)}.values())


def of_plugins(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that choose or set one of Hydra's launchers or sweepers.

    Raises UserError if one would let a config name code to run.
    """
    chosen = [each for each in overrides if each.lstrip("+").startswith(_PLUGINS)]
    for each in chosen:
        if "_target_" in each or "custom_search_space" in each or "_partial_" in each:
            raise UserError(f"{each}: a config cannot name code to run.")
    return chosen


def text(override: Override) -> str:
    """Return the override as it was typed."""
    assert override.input_line is not None
    return override.input_line


def reason(error: BaseException) -> str:
    """Return what Hydra, OmegaConf or YAML says about an error, in one line."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply."
    while not str(error) and error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    told = " ".join(lines) if isinstance(error, yaml.YAMLError) else lines[0]  # YAML names the file and line last
    key = getattr(error, "full_key", None)
    return f"{key}: {told}" if key else told


def _quoted(override: str) -> str:
    """Put quotes around the values of keys of text: Hydra would read 1.10 as 1.1, and refuse ~ and Persian."""
    key, equals, value = override.partition("=")
    if key.lstrip("+") not in TEXT or re.search(r"['\"(){}$\\]", value):
        return override
    start, inner, end = ("[", value[1:-1], "]") if value.startswith("[") and value.endswith("]") else ("", value, "")
    parts = [part.strip() for part in inner.split(",")]
    parts = [f"'{part}'" if part and not _PLAIN.fullmatch(part) else part for part in parts]
    return f"{key}{equals}{start}{','.join(parts)}{end}"


def _brief(error: BaseException) -> str:
    return re.sub(r" expecting .*", "", reason(error))  # a list of the grammar's tokens


def _misread(overrides: Sequence[str], i: int) -> str:
    """Return how to write an override that Hydra cannot read; '' if there is nothing better than its own message."""
    key, equals, value = overrides[i].partition("=")
    before, after = overrides[i - 1] if i else "", [word for word in overrides[i + 1 : i + 3] if word != "="]
    if before.endswith("=") and before != "=":
        return f"write {before}{one_line(overrides[i])}, without spaces."
    if not equals and after and "=" not in after[0]:
        return f"write {key}={one_line(after[0])}."
    if not equals:
        return f"write {one_line(key).replace(':', '=', 1)}{'' if ':' in key else '=…'}."
    if value.startswith("="):
        return f"write {key}={one_line(value.lstrip('='))}, with one =."
    if any(value.count(left) != value.count(right) for left, right in ("[]", "{}", "()")):
        return "a bracket is open, or one too many is closed."
    if value.startswith("("):
        return f"write {key}=[{one_line(value.strip('()'))}]."
    return ""
