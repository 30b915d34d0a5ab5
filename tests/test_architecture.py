"""The house rules that a machine can check."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "dlexp"
EVERYTHING = {"*"}
MAY_IMPORT = {  # module or package: what of dlexp it may import; itself and `errors` always
    "errors": set(),
    "files": set(),
    "schema": set(),
    "composition": {"conf", "files"},
    "config": {"composition", "schema"},
    "registry": {"schema"},
    "data": {"files", "lock", "registry", "schema"},
    "models": {"registry", "schema"},
    "optimizers": {"registry", "schema"},
    "schedulers": {"registry", "schema"},
    "measures": set(),
    "losses": {"measures", "registry", "schema"},
    "regularizers": {"registry", "schema"},
    "build": {
        "config",
        "registry",
        "data",
        "models",
        "optimizers",
        "schedulers",
        "losses",
        "regularizers",
        "measures",
        "identities",
        "fit",
        "ground",
    },
    "ground": {"build", "config", "registry"},  # of build the type Job only
    "identities": {"models", "registry", "schema", "summary"},
    "identity": {"ground", "config", "identities", "registry", "rundir"},
    "fit": {"build", "losses", "models", "summary"},  # of build the type Job only
    "sweep": {"composition", "config"},
    "evaluate": {"measures"},
    "signals": set(),
    "display": set(),
    "table": {"files"},
    "lock": {"files"},
    "rundir": {"files", "lock", "table"},
    "checkpoint": {"files", "rundir"},
    "session": {"build", "checkpoint", "optimizers", "rundir", "table"},
    "boundary": {"build", "evaluate", "rundir"},
    "finish": {"boundary", "build", "data", "evaluate", "files", "measures", "rundir", "session"},
    "records": {"build", "evaluate", "models", "rundir", "session"},
    "trace": {"rundir", "session"},
    "resumption": {"build", "config", "ground", "rundir"},
    "loop": {
        "models",
        "build",
        "config",
        "data",
        "display",
        "finish",
        "ground",
        "records",
        "resumption",
        "rundir",
        "session",
        "signals",
        "trace",
    },
    "tabular": set(),
    "compare": {"rundir", "tabular"},
    "report": {"compare", "files", "lock", "rundir", "tabular"},
    "summary": set(),
    "run": {"build", "checkpoint", "config", "ground", "registry", "rundir"},
    "tasks": {"build", "config", "data", "ground", "registry", "rundir"},
    "worker": {"build", "config", "files", "launch", "lock", "loop", "report", "resumption", "rundir", "tasks"},
    "live": {"rundir"},
    "supervisor": {"live", "signals", "tasks"},
    "plan": {"build", "config", "data", "loop", "registry", "rundir", "tasks"},
    "plugins": {"build", "composition", "config", "rundir", "tasks", "worker"},
    "launch": {
        "composition",
        "plugins",
        "plan",
        "config",
        "identity",
        "live",
        "loop",
        "report",
        "rundir",
        "supervisor",
        "sweep",
        "tabular",
        "tasks",
    },
    "verbs": EVERYTHING,
    "cli": {"signals", "verbs"},
    "__init__": EVERYTHING,
}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    allowed = MAY_IMPORT[part(path)] | {"errors", part(path)}
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "dlexp":
            names = [node.module] if node.module != "dlexp" else [f"dlexp.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("dlexp.")]
        for name in names:
            assert "*" in allowed or name.split(".")[1] in allowed, f"{path.name} may not import {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_are_short(path: Path) -> None:
    assert path.read_text().count("\n") <= 300


def test_report_imports_no_torch() -> None:
    program = "import sys, dlexp.report.figures, dlexp.report.text; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_docs_name_every_module() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for path in modules():
        assert f"`{path.relative_to(SOURCE)}`" in text, path


@pytest.mark.slow
def test_a_wheel_carries_the_configs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"dlexp/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert expected and expected <= names and "dlexp/cli.py" in names
