"""What makes other bytes is found, and told by its name."""

from __future__ import annotations

import pytest

from parrot_data.cluster.sameness import difference, what_runs_here

HASH, OTHER = "a" * 64, "b" * 64
HERE = {"Python": "3.11.7", "numpy": "2.0", "parrot_data/x.py": HASH}


def test_a_process_runs_what_it_runs() -> None:
    here = what_runs_here("parrot_data.simulation")
    assert difference(here, dict(here)) == ""
    assert here["numpy"]
    assert len(here["parrot_data/simulation.py"]) == len(HASH)
    assert "parrot_data/cluster/items.py" in here


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Python": "3.11.8"}, "Python is 3.11.8 there and 3.11.7 here"),
        ({"numpy": None}, "numpy is missing there and 2.0 here"),
        ({"ray": "1.0"}, "ray is 1.0 there and missing here"),
        ({"parrot_data/x.py": OTHER}, "parrot_data/x.py is another there"),
        ({"parrot_data/y.py": OTHER}, "parrot_data/y.py is not in both"),
    ],
)
def test_the_first_difference_is_told(change: dict[str, str | None], told: str) -> None:
    there = {name: value for name, value in {**HERE, **change}.items() if value is not None}
    assert difference(HERE, there) == told
