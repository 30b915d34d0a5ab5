"""Names that would lead out of the output directory, or among dlexp's own files, wherever a name can be given."""

from pathlib import Path

from robustness.hostile import READ, RUN, Attack, configured, write

NAMES = {
    "up": "../outside/x",
    "far up": "../../../../../../tmp/x",
    "up in the middle": "a/../../outside/x",
    "up at the end": "a/..",
    "two dots": "..",
    "a dot": ".",
    "a hidden folder": ".jobs",
    "a hidden folder inside": "a/.hydra/b",
    "of 300 characters": "x" * 300,
    "of 100 Persian letters a part": "ش" * 150,
    "of a NUL": "a\0b",
    "of two lines": "a\nb",
    "ending in a line": "a\n",
    "of a terminal's commands": "\x1b]0;x\x07",
    "of a null device": "a/\u202e/b",
    "empty": "",
    "a slash": "/",
    "two slashes": "a//b",
    "a backslash": "..\\outside",
    "a tilde": "~/x",
    "a variable": "$HOME/x",
    "a command": "$(touch pwned)",
}


def attacks() -> list[Attack]:
    """Return each name as a run's, in a config of the user's and in a saved one."""
    found = [
        Attack(f"name {what}", (["train", "experiment=evil"],), write("conf/experiment/evil.yaml", experiment(name)),
               codes=(1, 2))
        for what, name in NAMES.items()
    ]  # fmt: skip
    found += [
        Attack("name absolute, typed", (["train", "name=/tmp/x"],)),
        Attack("name up, typed", (["train", "name=../outside/x"], ["train", "-m", "seed=1,2", "name=../outside/x"])),
        Attack("name up, swept", (["train", "-m", "name=../outside/a,../outside/b"],)),
        Attack("name absolute, beside the rest", (["train", "experiment=evil"],), absolute),
        *(Attack(f"run's name {what}", (*READ, ["train", "--config", f"{RUN}/config.yaml"]),
                 configured(name=NAMES[what]), codes=(0, 2)) for what in ("up", "of a NUL", "of two lines")),
    ]  # fmt: skip
    for group in ("dataset", "model", "optimizer", "demonstration", "experiment", "loss"):
        values = ("../../../outside/x", "/etc/passwd", "x/../../y", "../conf/model/mlp")
        found.append(Attack(f"{group} elsewhere", tuple(["train", f"{group}={value}"] for value in values)))
        named = (["train", f"++{group}.name=../../outside/x"],)
        found.append(Attack(f"{group}.name elsewhere", named, codes=(2,)))
    elsewhere = ("../../outside", "/etc", "..")
    found += [
        Attack("a dataset fetched elsewhere", tuple(["data", "fetch", name] for name in elsewhere)),
        Attack("a group listed elsewhere", tuple(["list", name] for name in elsewhere)),
        Attack("a run that is no run", tuple([verb, "../outside"] for verb in ("resume", "evaluate"))),
        Attack("a report over what is no report", (["report", "--to", "."],), write("index.html", "mine")),
        Attack("a report into a file", (["report", "--to", "../outside/precious"],)),
    ]
    return found


def experiment(name: str) -> str:
    """Return an experiment of that name, in YAML's own notation for any character."""
    escaped = "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in name)
    return f'# @package _global_\nepochs: 1\nname: "{escaped}"\n'


def absolute(work: Path) -> None:
    write("conf/experiment/evil.yaml", experiment(str(work.parent / "outside" / "x")))(work)
