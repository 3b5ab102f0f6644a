"""Laws of random streams: a function of all that names them, and of nothing else."""

from __future__ import annotations

from itertools import combinations

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
