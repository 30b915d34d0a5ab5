"""Commands and configs that are nearly right: refused in one line that names what is wrong, leaving nothing behind.

A trial is a number: it decides what is chosen, how it is changed, and which verb gets it.
"""

import functools
import random
import re
import resource
import shutil
import signal
import string
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from robustness.forks import Child, Trial, dlexp, prepare

from dlexp.cli.main import main
from dlexp.cli.verbs import VERBS
from dlexp.config.composition import GROUPS, compose, options
from dlexp.data import store
from dlexp.errors import JobError
from dlexp.runs.directory import find_runs
from dlexp.runs.formatting import flat
from dlexp.training.build import REGISTRIES

TRIALS = 1000
SECONDS = 60  # after which a command hangs
MEMORY = 2**33  # bytes of data that a command may ask for
NEAR = 0.9  # of the near misses that are answered with the right word, at least
BASE = ["epochs=1", "stop_at=1"]  # where a change happens to be right, it shall not take long
LEFT_OUT = ("alexnet", "alexnet_cifar10", "cifar_cnn", "custom", "noise")  # large, or need Python
OF_VALUES = ("diabetes", "linear_map")
REASONS = ("finite", "is not here", "could not be written or read")  # why a job that rightly started may fail
VALUES = """[[[]]] [a,{b:c}] {a:1} no_such -1 -1e40 nan inf true null "" 0 ☃ 1e400"""
HUGE = ["1" + "0" * 30, "1" + "0" * 400, "1" + "0" * 5000, "[" * 300 + "]" * 300, "[" * 3000 + "]" * 3000, "x" * 5000]
HUGE += ["${nope}", "${seed}${nope.x}", "${oc.env:NO_SUCH_VARIABLE}", "${nope:1}", "${", "${oc.decode:'['}"]
SYNTAX = """= == a=[1 a={b a=( =1 [ a=] a='b a=" ☃=1 a=1=2 a.=1 .a=1 a..b=1 ~ + ++ @a=1 a@b=1 a@b:c=1 a:b ~~a +~a=1
    -=1"""
SPACES = ["", "a b=1", "a=\t[", "a=\n", "\n", " "]
OPERATORS = """~{key} +{key}=1 ++{key}=x ~{key}=1 +new.{key}=1 ++{key}.new=1 {key}={key} {key}=[${{{key}}}]
    {key}=${{{key}}} ~{first} +{first}=iris {key}=1,2 {key}=range(3) {key}=choice(1,x)"""
SWEEPS = """range(1,1000000000) range(1,2,0) range(x) choice() glob(*) interval(0,1) shuffle(1) sort(1,x) 1, ,1
    no_such,nor_this [1,2 1,2,${nope}"""
FLAGS = """train --config, train --multirun, train --dry-run, train --fresh, train --retry-failed, train --fail-fast,
    compare --by seed --metric, compare --by seed --pairs, compare --by seed --markdown, report --to, report --live,
    evaluate RUN --best, list --output-dir, data list --data-dir"""
MISTAKES = """data fetch, data verify no_such, data no_such, compare, compare --by no_such, compare no_such --by seed,
    diff no_such, diff RUN no_such, evaluate, resume, resume RUN epochs=x, resume RUN seed=1, resume RUN epochs,
    resume RUN =1, report no_such, list runs no_such=1, list runs seed, list model seed=1, list runs seed=[1,
    compare RUN --by seed, compare --by seed --json --csv, train --config no_such, train --config ., train --config,
    report RUN --to RUN/config.yaml, train --dry-run, train --config RUN/config.yaml model=mlp,
    train --config RUN/config.yaml nope=1"""
READING = "report, list runs, list runs seed=0, compare --by optimizer, diff RUN RUN"
OF_FILES = f"train --config RUN/config.yaml, resume RUN epochs=2, evaluate RUN, {READING}"
YAML = """[ { ' &a *a | % @ !!python/name:os.system"""


@dataclass(frozen=True)
class Command:
    """What is typed, the words of which the answer must have one, and the word that was meant."""

    arguments: list[str]
    names: tuple[str, ...] = ()
    meant: str = ""
    content: bytes | None = None  # of the run's config.yaml, or of `mine`, a model of the user's
    reads: bool = False  # a verb that only looks, and may pass over what is damaged


def listed(text: str) -> list[str]:
    """Return what a text lists between commas at the ends of words."""
    return [" ".join(each.split()) for each in text.split(", " if ", " in text else None) if each.split()]


@functools.cache
def keys() -> list[tuple[list[str], str]]:
    """Return every key that there is, after the choices that have it."""
    found: list[tuple[list[str], str]] = [([], key) for key in flat(compose([])) if "." not in key]
    for group in ("dataset", *REGISTRIES):
        for name in options(group):
            if name not in LEFT_OUT:
                chosen = [f"{group}={name}", *(["loss=mse"] if name in OF_VALUES else [])]
                found += [(chosen, key) for key in flat(compose(chosen)) if key.startswith(f"{group}.")]
    return found


def misspelt(chance: random.Random, word: str) -> str:
    """Return the word with a letter left out, doubled, changed or exchanged with the next."""
    i = chance.choice([i for i, letter in enumerate(word) if letter.isalpha()] or [0])
    a, b, c = word[:i], word[i : i + 1], word[i + 1 :]
    ways = [a + c, a + b + b + c, a + chance.choice(string.ascii_lowercase) + c, a + c[:1] + b + c[1:]]
    return next((way for way in chance.sample(ways, 4) if way not in (word, "")), word + "x")


def wrong_key(chance: random.Random) -> Command:
    chosen, key = chance.choice(keys())
    *before, last = key.split(".")
    wrong = ".".join([*before, misspelt(chance, last)])
    return Command([chance.choice(["train", "summary", "plan"]), *BASE, *chosen, f"{wrong}=1"], (wrong,), last)


def wrong_choice(chance: random.Random) -> Command:
    group = chance.choice([group for group in GROUPS if group != "experiment"])
    name = chance.choice([*options(group)])
    if chance.random() < 0.3:
        wrong = misspelt(chance, group)
        return Command(["train", *BASE, f"{wrong}={name}"], (wrong,), group)
    wrong = misspelt(chance, name)
    return Command([chance.choice(["train", "summary"]), *BASE, f"{group}={wrong}"], (wrong,), name)


def wrong_value(chance: random.Random) -> Command:
    chosen, key = chance.choice(keys())
    value = chance.choice(listed(VALUES) + HUGE)
    return Command(["train", *BASE, *chosen, f"{key}={value}"], (key, value[:20], key.split(".")[-1], *chosen))


def wrong_syntax(chance: random.Random) -> Command:
    text, key = chance.choice(listed(SYNTAX) + SPACES), ""
    if chance.random() < 0.5:
        _, key = chance.choice(keys())
        text = key.join(text.split("a", 1)) if "a" in text else key + text
    verb = chance.choice([f"train {' '.join(BASE)}", f"train -m {' '.join(BASE)}", "plan", "summary", "list runs"])
    return Command([*verb.split(), text], (text.strip()[:20], " ".join(text.split()), key), reads=verb == "list runs")


def wrong_operator(chance: random.Random) -> Command:
    chosen, key = chance.choice(keys())
    text = chance.choice(listed(OPERATORS)).format(key=key, first=key.split(".")[0])
    return Command(["train", *BASE, *chosen, text], (text, *key.split("."), *chosen))


def wrong_sweep(chance: random.Random) -> Command:
    _, key = chance.choice(keys())
    text = f"{key}={chance.choice(listed(SWEEPS))}"
    return Command(["train", "-m", *BASE, text, "--dry-run"], (text, *key.split(".")))


def wrong_word(chance: random.Random) -> Command:
    way = chance.randrange(4)
    if way == 0:
        meant = chance.choice([*VERBS])
        return Command([wrong := misspelt(chance, meant)], (wrong,), meant)
    if way == 1:
        *before, meant = chance.choice(listed(FLAGS)).split()
        return Command([*before, wrong := "--" + misspelt(chance, meant[2:])], (wrong,), meant)
    if way == 2:
        meant = chance.choice(GROUPS)
        return Command(["list", wrong := misspelt(chance, meant)], (wrong,), meant)
    return Command(chance.choice(listed(MISTAKES)).split())


def damaged(chance: random.Random, content: bytes) -> tuple[bytes, str]:
    """Return a YAML file changed in one place, and the key that stands there, or '' where it cannot be told."""
    lines = content.decode().splitlines(keepends=True)
    i, at = chance.randrange(1, len(lines)), chance.randrange(len(content))
    before, after, (key, _, value) = lines[:i], lines[i + 1 :], lines[i].partition(":")
    wrong = misspelt(chance, key)
    by_line = {
        "": (),
        "doubled": (lines[i], lines[i]),
        "changed": (f"{key}: {chance.choice(listed(f'{VALUES} {YAML}'))}\n",),
        "misspelt": (f"{wrong}:{value}",),
        "indented": (f"   {lines[i]}",),
        "after a tab": (f"\t{lines[i]}",),
    }
    if chance.random() < 0.6:
        way = chance.choice([*by_line])
        known = {"changed": key, "misspelt": wrong}.get(way, "").strip(" -\n")
        return "".join([*before, *by_line[way], *after]).encode(), known
    whole = [content[:at], content[:at] + b"\0" + content[at:], content[:at] + chance.randbytes(8) + content[at:]]
    whole += [b"\xef\xbb\xbf" + content, content.decode().encode("utf-16"), content + "café: 1\n".encode("latin-1")]
    whole += [b"", b"[" * 3000, b"a: " + b"{a: " * 2000 + b"1" + b"}" * 2000, chance.randbytes(200), b"- 1\n- 2\n"]
    return chance.choice([*whole, b"1: 2\nnull: 3\n" + content]), ""


def wrong_file(chance: random.Random, config: bytes) -> Command:
    verb = chance.choice(listed(OF_FILES))
    content, key = damaged(chance, config)
    return Command(verb.split(), ("config.yaml", key) if key else (), content=content, reads=verb in READING)


def wrong_option(chance: random.Random) -> Command:
    content, key = damaged(chance, options("model")[chance.choice(["mlp", "layers"])].read_bytes())
    arguments = chance.choice([["train", *BASE, "model=mine"], ["summary", "model=mine"], ["list", "model"]])
    return Command(arguments, ("mine", "model", key), content=content, reads=arguments[0] == "list")


WAYS: list[Callable[[random.Random], Command]] = [wrong_key, wrong_choice, wrong_value, wrong_value, wrong_syntax]
WAYS += [wrong_operator, wrong_sweep, wrong_word, wrong_option]


def outcome(command: Command, folder: Path, run: Path) -> tuple[int, str, str]:
    """Run a command beside a copy of a run; return its exit code, what it said, and what was wrong, or ''."""
    place = folder / "outputs" / "study" / "run"
    shutil.copytree(run, place)
    if command.content is not None:
        file = folder / "conf" / "model" / "mine.yaml" if "mine" in command.names else place / "config.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(command.content)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    arguments = [each.replace("RUN", "outputs/study/run") for each in command.arguments]

    def work() -> int:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        signal.alarm(SECONDS)
        return main(arguments)

    code, said = Child(folder, work).wait()
    left = [str(path) for path in folder.rglob("*") if path.is_file() and before.get(path) != path.stat().st_mtime_ns]
    if "Traceback" in said or "Warning" in said or code not in (0, 1, 2):
        return code, said, f"ended with {code}: {said[-900:]}"
    if code == 1 and not any(word in said for word in REASONS):
        return code, said, f"failed: {said[-500:]}"
    lines = [line for line in said.splitlines() if not re.match(r"\d+ jobs?: ", line)]  # how many a sweep has
    if code == 2 and (len(lines) != 1 or not lines[0].startswith("dlexp: ") or len(said) > 2000 or left):
        return code, said, f"not one line, or leaving {left}: {said[:1500]}"
    unnamed = any(command.names) and not any(name in said for name in command.names if name)
    return code, said, f"names none of {command.names}: {said}" if code == 2 and unnamed and not command.reads else ""


def nothing(name: str, *_: object) -> None:
    """Fetch no dataset."""
    raise JobError(f"{name} is not here, and is not fetched.")


def trials(*, short: bool) -> Iterator[Trial]:
    """A thousand commands, in short forty of them; then how many there were right, and near misses answered rightly."""
    prepare()
    store.fetch = nothing  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as place:
        code, said = dlexp(Path(place), "train", "epochs=1")
        assert code == 0, said
        run = find_runs(Path(place))[0].path
        right, near, unanswered = 0, 0, []
        numbers = range(0, TRIALS, 25) if short else range(TRIALS)
        for number in numbers:
            chance = random.Random(number)
            of_file = chance.random() < 0.25
            config = (run / "config.yaml").read_bytes()
            command = wrong_file(chance, config) if of_file else chance.choice(WAYS)(chance)
            with tempfile.TemporaryDirectory() as folder:
                code, said, wrong = outcome(command, Path(folder), run)
            right += code == 0 and not command.reads
            near += bool(command.meant) and code == 2
            unanswered += [said.strip()] if command.meant and code == 2 and command.meant not in said else []
            yield Trial(f"{number}: dlexp {' '.join(map(repr, command.arguments))[:300]}", wrong)
        few = len(unanswered) > (1 - NEAR) * near
        yield Trial(f"{near} near misses, {len(unanswered)} without what was meant", str(unanswered) if few else "")
        yield Trial(f"{right} of {len(numbers)} were right after all", "too many" if right > len(numbers) / 5 else "")
