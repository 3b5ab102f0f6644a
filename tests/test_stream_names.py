"""No two places draw the same random numbers because they chose the same name, or none."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    path
    for package in ("parrot_data", "parrot_models", "cli")
    for path in sorted((ROOT / package).rglob("*.py"))
]
NAMED = {"generator", "seed_sequence", "torch_generator", "torch_seed"}
MAKERS = {"streams.py", "chance.py"}  # they pass a name on
# Torch's own: what these begin with was drawn from a named stream just before, or goes on with one.
DRAWN = ("rng.integers(", "of_weights.initial_seed()", "torch_seed(")


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            function = node.func
            yield (
                function.attr
                if isinstance(function, ast.Attribute)
                else getattr(function, "id", ""),
                node,
            )


def imported(path: Path) -> set[str]:
    """Names of streams' makers that a module imports."""
    return {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        and node.module.rpartition(".")[2] in {"streams", "chance"}
        for alias in node.names
    } & NAMED  # fmt: skip


def test_every_stream_has_a_name_of_its_own() -> None:
    places = defaultdict(list)
    for path in FILES:
        if path.name in MAKERS:
            continue
        makers = imported(path)
        for function, call in calls(path):
            if function in makers and isinstance(call.func, ast.Name):
                name = call.args[1]
                assert isinstance(name, ast.Constant), f"{path}:{call.lineno}: write the name out"
                assert isinstance(name.value, str)
                places[name.value].append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert len(places) > 20
    shared = {name: where for name, where in places.items() if len(where) > 1}
    assert not shared


@pytest.mark.parametrize("package", ["parrot_models", "cli"])
def test_no_chance_comes_from_a_bare_number(package: str) -> None:
    for path in FILES:
        if package not in path.parts or path.name in MAKERS:
            continue
        for function, call in calls(path):
            assert function not in {"default_rng", "SeedSequence", "spawn"}, f"{path}:{call.lineno}"
            if function == "manual_seed":
                source = ast.unparse(call.args[0])
                assert any(drawn in source for drawn in DRAWN), f"{path}:{call.lineno}: {source}"
