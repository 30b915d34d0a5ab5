"""Run directories whose files are not what they seem: devices, queues, folders, 10 GB of nothing, no text."""

import os
from collections.abc import Callable
from pathlib import Path

from robustness.hostile import READ, RUN, Attack, table, write

NOTES = ("config.yaml", "environment.json", "status.json", "result.json")
TABLES = ("metrics.csv", "gradients.csv", "confusion_matrix.csv", "predictions.csv", "calibration.csv")
OTHERS = ("lock", "checkpoints/step_000000004.pt", "checkpoints/best.pt", "wrong_images.png")
Make = Callable[[Path], object]


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 10 * 2**30)


KINDS: dict[str, Make] = {
    "a queue": os.mkfifo,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "of 10 GiB": sparse,
    "a link to itself": lambda path: path.symlink_to(path.name),
}
JSONS = {
    "100,000 deep": "[" * 100_000 + "]" * 100_000,
    "objects 100,000 deep": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "numbers that are none": '{"status": NaN, "epoch": Infinity, "final": {"test": {"accuracy": 1e999, "loss": NaN}}}',
    "a number of 5,000 digits": f'{{"status": "finished", "epoch": {"9" * 5000}}}',
    "an epoch of 4,000 digits": f'{{"status": "finished", "epoch": {"9" * 4000}, "step": -1}}',
    "the wrong kinds": '{"status": [1], "epoch": "x", "final": [[]], "sides": 7, "command": {}, "error": {}}',
    "half a character": '{"status": "\\ud800", "epoch": 1, "final": {"\\ud800": {"\\ud800": 1}}}',
    "no text": "\x80\x81\x82",
    "keys that a class has": '{"__class__": 1, "status": "__init__", "epoch": 1, "final": {"__proto__": {"x": 1}}}',
}
CSVS = {
    "no text": "\x80\x81\n\x82",
    "NUL": "epoch,step\n\0,\0\n",
    "one line of 64 MiB": "x" * 2**26,
    "a cell of 1 MiB": "epoch,step\n" + "9" * 2**20 + ",1\n",
    "a million columns": ",".join(["a"] * 10**6) + "\n" + ",".join(["1"] * 10**6) + "\n",
    "an open quote": 'epoch,step\n"1,2\n3,4\n',
    "numbers that are none": "epoch,step,train/loss\nnan,inf,1e999\n",
    "columns that are none": "\n\n\n",
}
WORKING = (["resume", RUN], ["evaluate", RUN, "--best"])


def attacks() -> list[Attack]:
    """Return each kind of file in the place of each file, and contents for those of each format."""
    found = [
        Attack(f"{what}: {name}", (*READ, *WORKING), instead(name, make), codes=(0, 1, 2))
        for name in (*NOTES, *TABLES[::2], *OTHERS)
        for what, make in KINDS.items()
    ]
    found += [
        Attack(f"{name}: {what}", (*READ, *WORKING), lay_out(name, text.encode("latin-1")), codes=(0, 1, 2))
        for names, contents, lay_out in ((NOTES[1:], JSONS, note), (TABLES[::2], CSVS, table))
        for name in names
        for what, text in contents.items()
    ]
    loops = (("loop", "."), ("up", ".."), ("root", "/"), ("outside", "../outside"))
    every = (*READ, ["train", "-m", "epochs=1", "seed=7", "--dry-run"])
    return [
        *found,
        *(Attack(f"outputs with a link: {name}", every, link_folder(name, to), codes=(0, 2)) for name, to in loops),
        Attack("outputs with a name that is no text", every, undecodable, codes=(0, 2)),
        Attack("outputs with a folder as config.yaml", every, folder_as_config, codes=(0, 2)),
        Attack("outputs, 500 folders deep", every, deep, codes=(0, 2)),
    ]


def note(name: str, content: bytes) -> Make:
    return write(f"{RUN}/{name}", content)


def instead(name: str, make: Make) -> Make:
    def lay_out(work: Path) -> None:
        path = work / RUN / name
        path.unlink(missing_ok=True)
        make(path)

    return lay_out


def link_folder(name: str, to: str) -> Make:
    return lambda work: (work / "outputs" / name).symlink_to(to)


def undecodable(work: Path) -> None:
    path = work / "outputs" / os.fsdecode(b"\xff\xfe\n\x1b")
    (path / "checkpoints").mkdir(parents=True)
    (path / "config.yaml").write_text("name: x\n")


def folder_as_config(work: Path) -> None:
    (work / "outputs" / "x" / "config.yaml").mkdir(parents=True)
    (work / "outputs" / "x" / "checkpoints").mkdir()


def deep(work: Path) -> None:
    folder = os.open(work / "outputs", os.O_RDONLY)
    for _ in range(500):
        os.mkdir("deeper", dir_fd=folder)
        inner = os.open("deeper", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
