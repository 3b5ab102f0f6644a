"""Rows come back as Python sorts them, as often as wanted, however many there are."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from parrot_data.errors import UserError
from parrot_data.stores import sorted_rows
from parrot_data.stores.sorted_rows import SortedRows


def some_rows(count: int) -> list[tuple[bytes, int, bytes]]:
    rng = np.random.default_rng(0)
    return [
        (rng.bytes(int(rng.integers(3))), int(rng.integers(-2, 2)), b"\xff" * int(rng.integers(3)))
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 500])
def test_rows_are_sorted_by_one_value_after_the_other(count: int) -> None:
    wanted = some_rows(count)
    with SortedRows(3) as rows:
        for row in wanted:
            rows.add(*row)
        assert list(rows) == list(rows) == sorted(wanted)
        assert len(rows) == count


def test_two_lie_apart() -> None:
    with SortedRows(1) as one, SortedRows(1) as other:
        one.add(1)
        assert (list(one), list(other)) == ([(1,)], [])


def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def execute(self, *_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        def close(self) -> None: ...

    monkeypatch.setattr(sorted_rows.sqlite3, "connect", lambda *_, **__: Full())
    with pytest.raises(UserError, match=r"disk is full.*SQLITE_TMPDIR"):
        SortedRows(1)
