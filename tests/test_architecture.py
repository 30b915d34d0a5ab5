"""The house rules that a machine can check."""

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


def test_report_imports_no_torch() -> None:
    program = "import sys, dlexp.report.figures, dlexp.report.text; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_house_is_small() -> None:
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
