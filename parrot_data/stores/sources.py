"""The code that can change a stage's result: all it imports of ours, and whose versions."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from parrot_data.stores.publish import sha256_file

PACKAGES = ("parrot_data", "parrot_models")


@dataclass(frozen=True)
class _Source:
    """A module of ours; `imports` are modules, and names that may be one or an attribute."""

    path: Path
    imports: frozenset[str]
    looks_beside_itself: bool


def code_of(module: str) -> dict[str, dict[str, str]]:
    """What a fingerprint says of the code by which work was begun.

    Args:
        module: name of a stage's module, its `__name__`.

    Returns:
        `sources`, the SHA-256 of every file in `sources_of`, and `libraries`, the versions of all
        that these import of others.
    """
    imported = _imported(module).values()
    return {
        "sources": {name: sha256_file(path) for name, path in _files_of(imported).items()},
        "libraries": _versions(imported),
    }


def sources_of(module: str) -> dict[str, Path]:
    """Every file of our packages that can change what a module does, by its name in them.

    They are the sources that importing it runs, at once or later, its own and those of parent
    packages included, but for empty ones; and the data that lie beside a source which looks there
    (it names `__file__`), in folders that are no packages too.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    return _files_of(_imported(module).values())


def _files_of(imported: Iterable[_Source]) -> dict[str, Path]:
    sources = [source for source in imported if source.path.stat().st_size]
    data = [path for s in sources if s.looks_beside_itself for path in _data_beside(s.path)]
    roots = [folder.parent for folder in _package_folders().values()]
    found = {_name_in(path, roots): path for path in (*(s.path for s in sources), *data)}
    return dict(sorted(found.items()))


def _imported(module: str) -> dict[str, _Source]:
    """Our modules that importing a module runs, at once or later, by name."""
    folders = _package_folders()
    if _file_of(module, folders) is None:
        raise ModuleNotFoundError(f"no module {module!r} in {', '.join(folders)}", name=module)
    waiting, seen = [module], dict[str, _Source]()
    while waiting:
        name = waiting.pop()
        path = _file_of(name, folders)
        if name in seen or path is None:
            continue
        seen[name] = _parse(name, path)
        waiting += [*seen[name].imports, name.rpartition(".")[0]]
    return seen


def _package_folders() -> Mapping[str, Path]:
    specs = {name: find_spec(name) for name in PACKAGES}
    return {
        name: Path(spec.submodule_search_locations[0])
        for name, spec in specs.items()
        if spec is not None and spec.submodule_search_locations
    }


def _file_of(module: str, folders: Mapping[str, Path]) -> Path | None:
    """Where a module of ours lies; None for what is no module of ours."""
    top, *rest = module.split(".")
    if top not in folders:
        return None
    path = folders[top].joinpath(*rest)
    candidates = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _name_in(path: Path, roots: Iterable[Path]) -> str:
    root = next(root for root in roots if path.is_relative_to(root))
    return path.relative_to(root).as_posix()


def _parse(module: str, path: Path) -> _Source:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _Source(path, *_read(path.read_bytes(), package))


@cache
def _read(source: bytes, package: str) -> tuple[frozenset[str], bool]:
    """What a source imports, and whether it looks beside itself; content is parsed once only."""
    nodes = list(ast.walk(ast.parse(source)))
    return (
        frozenset(name for node in nodes for name in _names_imported(node, package)),
        any(isinstance(node, ast.Name) and node.id == "__file__" for node in nodes),
    )


def _names_imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = package.split(".")
        above = parents[: len(parents) + 1 - node.level] if node.level else []
        base = ".".join([*above, *filter(None, [node.module])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _data_beside(path: Path) -> Iterator[Path]:
    for entry in path.parent.iterdir():
        if entry.name.startswith("."):  # of an editor or a desktop
            continue
        if entry.is_file() and entry.suffix not in (".py", ".pyc"):
            yield entry
        elif entry.is_dir() and entry.name != "__pycache__" and not any(entry.rglob("*.py")):
            yield from (inner for inner in entry.rglob("*") if inner.is_file())


def _versions(sources: Iterable[_Source]) -> dict[str, str]:
    """Versions of the distributions that sources import, by name."""
    imported = {name.partition(".")[0] for source in sources for name in source.imports}
    known = _distributions()
    others = sorted((imported - set(PACKAGES) - set(sys.stdlib_module_names)) & known.keys())
    return {name: version(name) for top in others for name in known[top]}


@cache
def _distributions() -> Mapping[str, list[str]]:
    # It reads what each of hundreds of packages installed: once a process is enough.
    return packages_distributions()
