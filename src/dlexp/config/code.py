"""A user's own modules: their files, when to import them again, and the hash of what they say."""

import ast
import functools
import hashlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from dlexp.errors import UserError

INSTALLED = {"site-packages", "dist-packages"}
Stamp = tuple[int, int]  # the time of a file's last change in ns, and its size in bytes
_LOADED: dict[Path, Stamp] = {}  # own files as they were when `forget_changed` last saw them


def code_sha256(modules: Sequence[ModuleType]) -> str:
    """Return the hash of `modules` and, recursively, of their imports from their own folders or the working directory.

    It hashes their syntax trees, sorted by hash: comments, docstrings, formatting and moved files do not change it.
    It leaves out installed packages and dlexp itself, which has its numerics version instead.
    """
    files = own_files([module.__name__ for module in modules])
    digests = {path: _read(path, name, _stamp(path))[0] for name, path in files.items()}
    return hashlib.sha256("".join(sorted(digests.values())).encode()).hexdigest()


def forget_changed(names: Sequence[str]) -> None:
    """Let Python import the modules called `names` again if their code, or that of their imports, has changed.

    Otherwise a notebook would run the code of its first import, and record the hash of the files as they are now.
    Installed modules are taken to stay as they are.
    """
    files = own_files([name for name in names if not any(INSTALLED & {*path.parts} for _, path in _files(name))])
    stamps = {path: _stamp(path) for path in files.values()}
    loaded = {name: path for name, path in files.items() if name in sys.modules}
    if not all(_is_as_loaded(name, path, stamps[path]) for name, path in loaded.items()):
        for name, path in loaded.items():
            del sys.modules[name]
            # Python takes compiled code for new if its source has the same size and second of change.
            Path(cache_from_source(str(path))).unlink(missing_ok=True)
        importlib.invalidate_caches()
    _LOADED.update(stamps)


def refuse_foreign_code(imports: Any, file: Path) -> None:
    """Raise UserError if the saved config in `file` imports a module that is not the user's own.

    The user's own are modules and packages in the working directory and on PYTHONPATH, except in the run's directory.
    """
    folders = [Path.cwd(), *map(Path, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))]
    run = file.parent.resolve() if file.name == "config.yaml" else None
    own = [folder for folder in folders if run is None or not folder.resolve().is_relative_to(run)]
    for name in imports if isinstance(imports, list | tuple) else ():
        top = str(name).split(".")[0]
        if not any((folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file() for folder in own):
            raise UserError(
                f"{file} imports {name}, which is not your module: it is neither in {Path.cwd()} nor on PYTHONPATH. "
                "If you trust it, put it there; or give imports=[…] to `train --config` or `resume`."
            )


def own_files(names: Sequence[str]) -> dict[str, Path]:
    """Return the file of each of the modules called `names` and, recursively, of the user's own that they import."""
    found: dict[str, Path] = {}
    waiting = list(names)
    roots = {Path.cwd().resolve(), *(root for name in waiting for root in _roots(name))}
    asked: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in asked:
            continue
        asked.add(name)
        for prefix, path in _files(name):
            if prefix not in found and _is_own(path, roots):
                found[prefix] = path
                waiting += _read(path, prefix, _stamp(path))[1]
    return found


def _stamp(path: Path) -> Stamp:
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else (0, 0)


def _is_as_loaded(name: str, path: Path, stamp: Stamp) -> bool:
    """Whether an imported module is what its file says now."""
    if Path(str(sys.modules[name].__file__)).resolve() != path:
        return False
    if path in _LOADED:
        return _LOADED[path] == stamp
    compiled = Path(cache_from_source(str(path)))  # somebody else imported it; Python keeps the source's time and size
    header = b"".join((n & 0xFFFFFFFF).to_bytes(4, "little") for n in (stamp[0] // 10**9, stamp[1]))
    return compiled.exists() and compiled.read_bytes()[8:16] == header


@functools.lru_cache(maxsize=1000)
def _read(path: Path, name: str, stamp: Stamp) -> tuple[str, tuple[str, ...]]:
    """Return the hash of a module's file, and the names that it imports; `stamp` tells one content from another."""
    content = path.read_bytes() if path.exists() else b""
    imported: tuple[str, ...] = ()
    with suppress(SyntaxError, ValueError):  # a compiled file, or a module with a syntax error
        tree = ast.parse(content)
        imported = tuple(_imported(tree, name if path.stem == "__init__" else name.rpartition(".")[0]))
        content = repr(_plain(tree)).encode()
    return hashlib.sha256(content).hexdigest(), imported


def _files(name: str) -> Iterator[tuple[str, Path]]:
    """Yield the name and file of each package around a module, and of the module, without importing any."""
    parts, folders = name.split("."), None
    if parts[0] == "dlexp" or parts[0] in sys.stdlib_module_names:
        return
    for i in range(len(parts)):
        prefix = ".".join(parts[: i + 1])
        if (spec := _spec(prefix, folders)) is None:
            return  # `prefix` is a name in a module, or a module that does not exist
        if spec.origin is not None and spec.has_location:
            yield prefix, Path(spec.origin).resolve()
        if (folders := spec.submodule_search_locations and list(spec.submodule_search_locations)) is None:
            return


def _spec(name: str, folders: Sequence[str] | None) -> ModuleSpec | None:
    if name not in sys.modules:
        return find_spec(name) if folders is None else PathFinder.find_spec(name, folders)
    known: ModuleSpec | None = sys.modules[name].__spec__
    if known is None or known.origin is None or not known.has_location or INSTALLED & {*Path(known.origin).parts}:
        return known
    return PathFinder.find_spec(name, folders) or known  # the file may have moved since the import


def _roots(name: str) -> Iterator[Path]:
    """Yield the folder of a module's top package; else the module's folder or, if installed, its file."""
    for _, path in list(_files(name))[:1]:
        if path.stem == "__init__" or path.parent.name not in INSTALLED:
            yield path.parent
        else:
            yield path


def _is_own(path: Path, roots: set[Path]) -> bool:
    return any(path.is_relative_to(root) and not INSTALLED & {*path.relative_to(root).parts} for root in roots)


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the full names that a module of `package` imports; x.y for `from x import y`, since y may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package and node.level else []
            above = parts[: len(parts) - node.level + 1]
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names if base)


def _plain(node: Any) -> Any:
    """Return a syntax tree as lists, without positions, docstrings and empty fields (new Pythons add some)."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, ast.AST):
        return node
    fields = dict(ast.iter_fields(node))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = fields["body"][1:]
    return [type(node).__name__, *([key, _plain(value)] for key, value in fields.items() if value not in (None, []))]
