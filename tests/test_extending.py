"""Every example of docs/extending.md runs unchanged: its files are written where they say, its commands are run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT = {  # what each example leaves in its run directory or prints
    "A metric": ("metrics.csv", "test/errors"),
    "A diagnostic": ("weight_norms.csv", "epoch,parameter,norm"),
    "A sink": ("best_accuracy.txt", "0."),
    "A loss": ("config.yaml", "gamma: 1"),
    "A model": ("config.yaml", "width: 16"),
    "A dataset": ("confusion_matrix.csv", "slow,fast"),
    "A verb": (None, "\n1\n"),
    "A panel of the report": ("index.html", "deviceSection(study),"),
}


def sections() -> dict[str, str]:
    text = (ROOT / "docs" / "extending.md").read_text()
    return {part.partition("\n")[0]: part for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]}


def write(block: str, house: Path) -> None:
    """Write a block to the file that its first line names, or insert it after a line of an existing file."""
    head, _, body = block.partition("\n")
    name, _, after = head.lstrip("#/ ").partition(", after ")
    path = house / name if name.startswith("src/") else Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not after:
        path.write_text(block)
        return
    lines = path.read_text().splitlines(keepends=True)
    (place,) = [i for i, line in enumerate(lines) if line.strip().startswith(after)]
    path.write_text("".join([*lines[: place + 1], body, *lines[place + 1 :]]))


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of dlexp that an example may change."""
    shutil.copytree(ROOT / "src" / "dlexp", tmp_path / "house" / "src" / "dlexp")
    shutil.copytree(ROOT / "conf", tmp_path / "house" / "src" / "dlexp" / "conf")
    return tmp_path / "house"


def test_there_is_an_example_of_each_kind() -> None:
    assert sections().keys() == LEFT.keys()


@pytest.mark.parametrize("kind", LEFT)
def test_the_example_runs(kind: str, house: Path) -> None:
    said = ""
    blocks = BLOCK.findall(sections()[kind])
    commands = [line for language, text in blocks if language == "bash" for line in text.splitlines()]
    for language, text in blocks:
        if language != "bash":
            write(text, house)
    if kind in ("A verb", "A panel of the report"):
        commands.insert(0, "dlexp train epochs=1")
    for command in commands:
        words = [sys.executable, "-m", "dlexp.cli", *shlex.split(command)[1:]]
        environment = {**os.environ, "PYTHONPATH": f"{house / 'src'}{os.pathsep}{Path.cwd()}"}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        said += f"\n{done.stdout}"
    file, text = LEFT[kind]
    found = [path.read_text() for path in Path("outputs").rglob(file)] if file else [said]
    assert found and any(text in each for each in found)
