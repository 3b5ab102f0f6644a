"""Laws of random streams: a function of all that names them, and of nothing else."""

from __future__ import annotations

import ast
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np

from parrot_data.streams import generator, seed_sequence


def test_a_stream_begins_anew_each_time() -> None:
    first, again = (generator(3, "scene", 7).random(5) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_stream_is_the_same_on_every_machine_and_in_every_release() -> None:
    assert seed_sequence(3, "scene", 7).generate_state(2).tolist() == [2792595264, 1914969180]


def test_streams_that_differ_in_anything_differ() -> None:
    """Also where a plain join of seed, name and indices would be the same."""
    names: list[tuple[int, str, tuple[int, ...]]] = [
        (0, "scene", ()), (1, "scene", ()), (0, "script", ()), (0, "scene", (0,)),
        (0, "scene", (1,)), (0, "scene", (0, 0)), (0, "scene", (0, 1)), (0, "scene", (1, 0)),
        (0, "scene", (2**32,)), (0, "scene, 0", ()), (2**70, "scene", ()),
    ]  # fmt: skip
    states = {key: seed_sequence(key[0], key[1], *key[2]).generate_state(4) for key in names}
    for one, other in combinations(names, 2):
        assert (states[one] != states[other]).any(), (one, other)


def test_no_two_modules_draw_from_a_stream_of_one_name() -> None:
    users: dict[str, set[str]] = defaultdict(set)
    for package in ("parrot_data", "parrot_models"):
        for path in (Path(__file__).parents[2] / package).rglob("*.py"):
            for name in names_of_streams(ast.parse(path.read_text(encoding="utf-8"))):
                users[name].add(str(path))
    assert {"scene", "script"} <= users.keys()
    assert {name: paths for name, paths in users.items() if len(paths) > 1} == {}


def names_of_streams(code: ast.AST) -> set[str]:
    """The names a module gives to `generator` or `seed_sequence`, written out."""
    return {
        str(call.args[1].value)
        for call in ast.walk(code)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in ("generator", "seed_sequence")
        and len(call.args) > 1
        and isinstance(call.args[1], ast.Constant)
    }
