"""The rules of the code that a test can check."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "dlexp"


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_are_short(path: Path) -> None:
    assert path.read_text().count("\n") <= 300


HEAVY = {"torch", "sklearn", "matplotlib", "pandas", "scipy", "cv2"}
EAGER = {
    f"dlexp.models.{name}" for name in ("units", "convolutions", "by_hand", "backbone")
}  # their classes are nn.Modules
IMPORT_ALL = """
import importlib, pkgutil, sys, dlexp
names = [module.name for module in pkgutil.walk_packages(dlexp.__path__, "dlexp.")]
for name in names:
    if name not in {eager} and not name.endswith("__main__"):
        importlib.import_module(name)
        assert not {heavy} & sys.modules.keys(), name
"""


def test_no_module_imports_a_heavy_library() -> None:
    program = IMPORT_ALL.format(eager=EAGER, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def imports_in_functions() -> list[str]:
    return [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in modules()
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def test_few_imports_are_inside_functions() -> None:
    assert len(set(imports_in_functions())) <= 25, imports_in_functions()


def test_the_package_is_small() -> None:
    rooms = [path.name for path in SOURCE.iterdir() if path.name not in ("__pycache__", "py.typed")]
    assert len(rooms) <= 14, rooms


def test_docs_name_every_package() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for path in [*SOURCE.glob("*.py"), *(path for path in SOURCE.iterdir() if (path / "__init__.py").exists())]:
        assert f"`{path.name}" in text, path


@pytest.mark.slow
def test_a_wheel_carries_the_configs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"dlexp/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert expected and expected <= names and "dlexp/cli/main.py" in names
