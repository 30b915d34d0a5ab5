"""The hash of a user's modules changes with what they say, and with nothing else."""

import importlib
import sys
from pathlib import Path

import pytest

import dlexp
from dlexp.cli.main import main
from dlexp.config.code import code_sha256, refuse_foreign_code
from dlexp.config.registry import import_modules
from dlexp.errors import UserError

NET = '''"""Nets of mine."""
import sklearn.utils
from my_package.parts import activation
from torch import nn

def net(*, input_shape, num_outputs):
    """A small one."""
    return nn.Sequential(nn.Linear(4, 8), activation(), nn.Linear(8, num_outputs))
'''
PARTS = "from torch import nn\nfrom . import constants\n\ndef activation():\n    return nn.ReLU()\n"
SWEEP = ["train", "-m", "imports=[my_nets]", "model=custom", "model.name=net", "seed=1,2", "epochs=1", "--dry-run"]


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my_nets.py").write_text(NET)
    Path("my_package").mkdir()
    Path("my_package/__init__.py").write_text("")
    Path("my_package/parts.py").write_text(PARTS)
    Path("my_package/constants.py").write_text("WIDTH = 8\n")
    monkeypatch.setattr(sys, "path", [str(Path.cwd()), *sys.path])
    importlib.invalidate_caches()
    for name in [each for each in sys.modules if each.startswith("my_")]:
        monkeypatch.delitem(sys.modules, name)


def digest() -> str:
    return code_sha256(import_modules(["my_nets"]))


def replace(file: str, old: str, new: str) -> None:
    content = Path(file).read_text()
    assert old in content
    Path(file).write_text(content.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("my_nets.py", "Nets of mine.", "Nets of ours."),
        ("my_nets.py", "A small one.", "One."),
        ("my_nets.py", "nn.Linear(4, 8), ", "nn.Linear( 4,\n        8 ),  # wide\n        "),
        ("my_package/parts.py", "\n\ndef", "\n\n\n# What comes between layers\ndef"),
        ("my_package/__init__.py", "", '"""Parts."""\n'),
    ],
)
def test_comments_docstrings_and_formatting_change_nothing(file: str, old: str, new: str) -> None:
    before = digest()
    Path(file).write_text(Path(file).read_text().replace(old, new) if old else new)
    assert digest() == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("my_nets.py", "nn.Linear(4, 8)", "nn.Linear(4, 8, False)"),
        ("my_nets.py", '"""A small one."""', 'note = """A small one."""'),
        ("my_package/parts.py", "ReLU", "Tanh"),
        ("my_package/constants.py", "8", "8.0"),
        ("my_package/__init__.py", "", "SEED = 1\n"),
    ],
)
def test_any_other_change_changes_it(file: str, old: str, new: str) -> None:
    before = digest()
    Path(file).write_text(Path(file).read_text().replace(old, new) if old else new)
    assert digest() != before


def test_moved_files_and_what_is_not_imported_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    Path("my_package/other.py").write_text("X = 1\n")
    assert digest() == before
    Path("elsewhere").mkdir()
    for name in ("my_nets.py", "my_package"):
        Path(name).rename(Path("elsewhere") / name)
    monkeypatch.syspath_prepend(Path("elsewhere").absolute())
    assert digest() == before, "though the modules are imported, from where they were"
    for name in [each for each in sys.modules if each.startswith("my_")]:
        monkeypatch.delitem(sys.modules, name)
    assert digest() == before


def test_no_imports_have_a_hash_too() -> None:
    assert code_sha256([]) == code_sha256([]) != digest()


def test_a_finished_sweep_stays_done_until_its_nets_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SWEEP[:-1]) == 0
    for file, old, new, state in (
        ("my_nets.py", "A small one.", "One.", "2 done"),
        ("my_package/parts.py", "def activation", "# Between layers.\ndef activation", "2 done"),
        ("my_package/parts.py", "ReLU", "Tanh", "2 to run"),
    ):
        replace(file, old, new)
        capsys.readouterr()
        assert main(SWEEP) == 0
        assert f"2 jobs: {state}." in capsys.readouterr().out


def test_a_notebook_trains_the_code_of_its_modules_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it imported them itself, and if an edit leaves a file's size and the second of its change."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    untouched = importlib.import_module("my_nets")

    def trained(*imports: str) -> str:
        names = ",".join(imports)
        run = dlexp.train([f"imports=[{names}]", "model=custom", "model.name=net", "epochs=0"])
        return str(run.load_model())

    assert "ReLU" in trained("my_nets") and sys.modules["my_nets"] is untouched
    replace("my_package/parts.py", "ReLU", "SELU")
    assert "SELU" in trained("my_nets")
    replace("my_nets.py", "nn.Linear(4, 8)", "nn.Linear(4, 8, False)")
    assert "bias=False" in trained("my_nets")
    Path("my_others.py").write_text(NET)
    importlib.import_module("my_others")
    replace("my_others.py", "activation()", "nn.Identity()")
    assert "Identity" in trained("my_others", "my_nets")
    Path("my_package/parts.py").unlink()
    with pytest.raises(ModuleNotFoundError, match=r"my_package\.parts"):
        trained("my_nets")


def test_a_run_whose_code_has_changed_is_refused_unless_its_imports_are_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = ["imports=[my_nets]", "model=custom", "model.name=net"]
    run = str(dlexp.train([*chosen, "epochs=2"]).path)
    replace("my_nets.py", "A small one.", "One.")
    assert main(["evaluate", run]) == 0
    replace("my_package/parts.py", "ReLU", "Tanh")
    for command in (["evaluate", run], ["resume", run], ["resume", run, "epochs=3"]):
        assert main(command) == 2
        assert "was trained with other code than imports=[my_nets] has now" in capsys.readouterr().err
    with pytest.raises(UserError, match="other code"):
        dlexp.load_run(run).load_model()
    assert "Tanh" in str(dlexp.load_run(run, ["imports=[my_nets]"]).load_model())
    for command in (["evaluate", run, "imports=[my_nets]"], ["resume", run, "epochs=3", "imports=[my_nets]"]):
        assert main(command) == 0
        assert "code_sha256 was" in capsys.readouterr().err


def test_only_the_user_s_own_modules_may_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "run" / "config.yaml"
    for file in ("run/theirs.py", "own.py", "path/other/__init__.py"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'path'}:{tmp_path / 'run'}")
    refuse_foreign_code(["own", "own.part", "other"], config)
    for name in ("theirs", "os", "missing"):
        with pytest.raises(UserError, match=f"imports {name}, which is not your module"):
            refuse_foreign_code(["own", name], config)
    monkeypatch.chdir(tmp_path / "run")
    with pytest.raises(UserError, match="imports theirs"):
        refuse_foreign_code(["theirs"], config)
