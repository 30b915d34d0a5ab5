"""Format a comparison for people (terminal), papers (Markdown, LaTeX) and programs (CSV, JSON)."""

import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dlexp.compare.comparison import Comparison, Effect
from dlexp.compare.statistics import Estimate
from dlexp.runs.formatting import decimals_of, interval, number, table

# Characters that LaTeX does not print as they are.
SPECIAL = {**{c: "\\" + c for c in "&%$#_{}"}, **{c: f"\\char`\\{c} " for c in "\\~^<>|"}, "×": "$\\times$"}
HEADER = ("n", "mean", "std", "95 % interval")


def terminal(comparison: Comparison) -> str:
    """Return each factor's table, confounders and sentences, the table of combinations, the best one and the notes."""
    parts = []
    for effect in comparison.effects:
        others = ", averaged over the other factors" if comparison.combinations else ""
        parts.append(table([effect.factor, *HEADER], shown(effect.settings)) + f"\n{effect.metric}, best first{others}")
        if effect.confounders:
            listed = "\n".join(f"  {each}" for each in effect.confounders)
            parts.append(f"NOT CONTROLLED: more than {effect.factor} differs between the groups:\n{listed}")
        parts.append("\n".join(effect.sentences))
    if comparison.combinations:
        title = f"{_title(comparison)}; no differences are tested among them"
        parts.append(table([_factors(comparison), *HEADER], shown(comparison.combinations)) + f"\n{title}")
    parts += [comparison.best.sentence] if comparison.best else []
    return "\n\n".join([*parts, *comparison.notes])


def markdown(comparison: Comparison) -> str:
    """Return the tables and sentences in Markdown."""
    parts = []
    for effect in comparison.effects:
        parts.append(f"{effect.metric} by {effect.factor}, best first:")
        parts.append(markdown_table([effect.factor, *HEADER], shown(effect.settings)))
        parts += [f"**Not controlled:** {plain(each)}" for each in effect.confounders]
        parts.append("\n".join(f"- {plain(sentence)}" for sentence in effect.sentences))
    if comparison.combinations:
        parts.append(f"{_title(comparison)}; no differences are tested among them:")
        parts.append(markdown_table([_factors(comparison), *HEADER], shown(comparison.combinations)))
    parts += [plain(comparison.best.sentence)] if comparison.best else []
    return "\n\n".join([*parts, *map(plain, comparison.notes)])


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; markup in a cell is escaped."""
    lines = [list(header), ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(plain(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def latex(comparison: Comparison) -> str:
    """Return a booktabs tabular for each factor, and one of the combinations; confounders and notes are comments."""
    parts = []
    for factor, metric, settings in _everything(comparison):
        confounders = next((each.confounders for each in comparison.effects if each.factor == factor), ())
        comments = [f"not controlled: {each}" for each in confounders]
        comments += [*comparison.notes, f"{metric}: mean and standard deviation over n seeds"]
        head = ["\\begin{tabular}{lrl}", "\\toprule"]
        head += [f"{_escaped(factor)} & $n$ & {_escaped(metric)} \\\\", "\\midrule"]
        body = [f"{_escaped(name)} & {n} & {_plus_minus(mean, std)} \\\\" for name, n, mean, std, _ in shown(settings)]
        tail = ["\\bottomrule", "\\end{tabular}"]
        parts.append("\n".join([*(f"% {each}" for each in comments), *head, *body, *tail]))
    return "\n\n".join(parts)


def comma_separated(comparison: Comparison) -> str:
    """Return CSV: a line for each setting of each factor, and for each combination."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["factor", "setting", "metric", "n", "mean", "std", "low", "high", "controlled"])
    controlled = {each.factor: not each.confounders for each in comparison.effects}
    for factor, metric, settings in _everything(comparison):
        for name, e in settings.items():
            row = [factor, name, metric, e.count, e.mean, e.deviation, e.low, e.high]
            writer.writerow([*row, controlled.get(factor, all(controlled.values()))])
    return text.getvalue().rstrip()


def as_json(comparison: Comparison) -> str:
    """Return the whole comparison as strict JSON."""
    return json.dumps(dataclasses.asdict(comparison), indent=2, allow_nan=False, ensure_ascii=False)


FORMATS = {"latex": latex, "markdown": markdown, "csv": comma_separated, "json": as_json}


def differences(effect: Effect) -> str:
    """Return a table of the paired differences."""
    lines: list[list[object]] = []
    for d in effect.differences:
        ends = "" if d.low is None or d.high is None else interval(d.low, d.high)
        lines.append([f"{d.one} − {d.other}", d.pairs, d.mean, ends, d.p_value])
    return table(["", "pairs", "difference", "95 % interval", "p (Holm)"], lines)


def _everything(comparison: Comparison) -> Iterator[tuple[str, str, Mapping[str, Estimate]]]:
    """Yield each factor, and all together if there are several, with the metric and its estimates."""
    yield from ((effect.factor, effect.metric, effect.settings) for effect in comparison.effects)
    if comparison.combinations:
        yield _factors(comparison), comparison.effects[0].metric, comparison.combinations


def _factors(comparison: Comparison) -> str:
    return " and ".join(effect.factor for effect in comparison.effects)


def _title(comparison: Comparison) -> str:
    return f"{comparison.effects[0].metric} of each combination, best first"


def plain(text: str) -> str:
    """Return a text as one line of Markdown, with tags and links escaped."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")


def shown(settings: Mapping[str, Estimate]) -> list[list[str]]:
    """Return each setting's name, number of seeds, mean, standard deviation and interval as texts."""
    decimals = decimals_of(each.mean for each in settings.values())
    return [
        [name, str(each.count), number(each.mean, decimals), *_spread(each, decimals)]
        for name, each in settings.items()
    ]


def _spread(e: Estimate, decimals: int) -> list[str]:
    if e.deviation is None or e.low is None or e.high is None:
        return ["–", "–"]
    ends = max(decimals, decimals_of([e.low, e.high]))
    return [number(e.deviation, decimals), f"{number(e.low, ends)} to {number(e.high, ends)}"]


def _plus_minus(mean: str, deviation: str) -> str:
    both = mean if deviation == "–" else f"{mean} \\pm {deviation}"
    return "$" + re.sub(r"e([-+]\d+)", lambda found: f" \\times 10^{{{int(found[1])}}}", both) + "$"


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(character, character) for character in text)
