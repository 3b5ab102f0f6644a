"""Rows sorted on disk, so that of any number of them few are in memory: SQLite's sorter."""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator
from itertools import repeat
from types import TracebackType
from typing import Any, Self

from parrot_data.errors import UserError

Value = int | bytes  # no text: that of Python may hold what UTF-8 cannot


class SortedRows:
    """Rows of a few values, added in any order and read in ascending order.

    They lie in a file of the folder for temporary files, which is gone with this object.

    Args:
        num_values: of each row. What is at one place of a row is of one type in all rows.
    """

    def __init__(self, num_values: int) -> None:
        # Closed with this object, by whichever thread notices that nobody needs it any more
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._database.close)
        self._order = ", ".join(f"v{place}" for place in range(num_values))
        self._insert = f"INSERT INTO sorted VALUES ({', '.join(repeat('?', num_values))})"
        # It holds nothing that must survive: no journal, and nothing waits for the disk
        self._execute("PRAGMA journal_mode = OFF")
        self._execute("PRAGMA synchronous = OFF")
        self._execute("PRAGMA temp_store = FILE")
        self._execute(f"CREATE TABLE sorted ({self._order})")
        self._execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the rows."""
        self._database.close()

    def add(self, *values: Value) -> None:
        """One row more.

        Raises:
            UserError: there is no room for it.
        """
        self._execute(self._insert, values)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """All rows, by their first value, then by the next."""
        rows = self._execute(f"SELECT * FROM sorted ORDER BY {self._order}")
        try:
            yield from rows
        except sqlite3.OperationalError as error:
            raise _told(error) from error

    def __len__(self) -> int:
        return int(self._execute("SELECT COUNT(*) FROM sorted").fetchone()[0])

    def _execute(self, statement: str, values: tuple[Value, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise _told(error) from error


def _told(error: sqlite3.OperationalError) -> UserError:
    return UserError(
        f"episodes could not be sorted in the folder for temporary files ({error}): make room "
        "there, or name another with SQLITE_TMPDIR."
    )
