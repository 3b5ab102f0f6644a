"""Laws of a profile: its shares are of one second, and nothing is counted twice or left out."""

from __future__ import annotations

import pytest

from benchmarks.profiles import LEAST_MS, shares_of


def busy() -> int:
    return sum(range(100_000))


def test_shares_add_up_to_a_second_and_the_busiest_comes_first() -> None:
    shares = shares_of(busy, seconds=0.05)
    assert sum(share.own_ms for share in shares) == pytest.approx(1000.0)
    assert "sum" in shares[0].name
    *large, rest = shares
    assert all(share.own_ms >= LEAST_MS for share in large)
    assert [share.own_ms for share in large] == sorted((s.own_ms for s in large), reverse=True)
    assert "more functions" in rest.name
