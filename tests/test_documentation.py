"""Every command in README, docs and help can be pasted into a shell, and dlexp knows what it says."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from small_runs import train

from dlexp.cli.arguments import OVERRIDES
from dlexp.cli.main import main
from dlexp.cli.verbs import VERBS, verb
from dlexp.config.composition import compose
from dlexp.sweep.expansion import expand

ROOT = Path(__file__).parents[1]
VERB = "|".join(VERBS)
COMMAND = re.compile(rf"^ *((?:dlexp (?:{VERB})\b|R=)(?:.*\\\n)*.*)", re.MULTILINE)  # R: what a study's commands share
# Words as a shell gives them to a command. With failglob, bash refuses a pattern that matches no file, as zsh does.
SHELL = 'shopt -s failglob\ndlexp() { printf "%s\\0" "$@"; printf "\\1"; }\n'


def texts() -> dict[str, str]:
    pages = {page.name: page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))}
    helps = {name: verb(name).__doc__ or "" for name in VERBS}
    return {**pages, **helps, "overrides": f"dlexp train {OVERRIDES.partition(': ')[2]}"}


def words_of(text: str) -> list[list[str]]:
    done = subprocess.run(["bash", "-c", SHELL + text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [command.split("\0")[:-1] for command in done.stdout.split("\1")[:-1]]


@pytest.mark.parametrize("place", texts())
def test_a_shell_takes_every_command_as_it_stands(place: str) -> None:
    commands = COMMAND.findall(texts()[place])
    found = words_of("\n".join(commands))
    alone = [each.replace("\\\n", "") for each in commands if "${R" not in each and each[0] != "R"]
    plain = [shlex.split(each, comments=True)[1:] for each in alone]
    assert [words for words in found if words in plain] == plain
    for words in found if place in (*VERBS, "README.md", "studies.md") else ():
        overrides = [word for word in words[1:] if "=" in word]
        if words[:1] in (["train"], ["summary"], ["plan"]) and "--config" not in words and "my_" not in str(words):
            expand(overrides) if "-m" in words else compose(overrides)


def test_a_printed_command_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("name='my runs, the first'", "stop_at=1")
    assert main(["train", "name='a b'", "epochs=2", "stop_at=1"]) == 0
    again = capsys.readouterr().out.partition("Go on with: ")[2]
    assert main(words_of(again)[0]) == 0
    capsys.readouterr()
    assert main(["resume", str(run.path), "seed=range(3)"]) == 2
    refused = capsys.readouterr().err.partition("For another one: ")[2]
    assert words_of(refused) == [["train", "--config", f"{run.path.absolute()}/config.yaml", "seed=range(3)"]]
