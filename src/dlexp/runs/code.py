"""The hash of a user's own modules: it depends on their syntax trees, not on their formatting or location."""

import ast
import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

INSTALLED = {"site-packages", "dist-packages"}


def code_sha256(modules: Sequence[ModuleType]) -> str:
    """Return the hash of `modules` and, recursively, of their imports from their own folders or the working directory.

    It hashes their syntax trees, sorted by hash: comments, docstrings, formatting and moved files do not change it.
    It leaves out installed packages and dlexp itself, which has its numerics version instead.
    """
    found: dict[Path, str] = {}
    waiting = [module.__name__ for module in modules]
    roots = {Path.cwd().resolve(), *(root for name in waiting for root in _roots(name))}
    asked: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in asked:
            continue
        asked.add(name)
        for prefix, path in _files(name):
            if path not in found and _is_own(path, roots):
                content = path.read_bytes()
                with suppress(SyntaxError, ValueError):  # a compiled file, or a module with a syntax error
                    tree = ast.parse(content)
                    waiting += _imported(tree, prefix if path.stem == "__init__" else prefix.rpartition(".")[0])
                    content = repr(_plain(tree)).encode()
                found[path] = hashlib.sha256(content).hexdigest()
    return hashlib.sha256("".join(sorted(found.values())).encode()).hexdigest()


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
    if name not in sys.modules and folders is None:
        return find_spec(name)
    known = sys.modules[name].__spec__ if name in sys.modules else None
    if known is not None and (known.origin is None or not known.has_location or Path(known.origin).exists()):
        return known
    return PathFinder.find_spec(name, folders)  # not imported yet, or its file has moved since it was


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
