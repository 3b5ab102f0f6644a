"""Every item is worked on once, whatever fails is heard of, and nobody is left behind."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from parrot_data.errors import UserError
from parrot_data.workers import share_out


def note(folder: Path, item: str, tick: Callable[[], None]) -> None:
    """Do an item, or whatever else its name asks for."""
    if item == "user error":
        raise UserError("The item is too heavy.")
    if item == "defect":
        raise ZeroDivisionError("the world is flat")
    if item == "death":
        os._exit(7)
    with (folder / item).open("a") as file:
        file.write(f"{os.getpid()}\n")
    tick()
    tick()


@contextmanager
def noting(folder: Path) -> Iterator[Callable]:
    try:
        yield partial(note, folder)
    finally:
        (folder / f"closed-{os.getpid()}").touch()


@contextmanager
def unstartable() -> Iterator[Callable]:
    raise UserError("There is no simulator.")
    yield


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_every_item_is_done_once_by_few_enough_processes(tmp_path: Path, num_workers: int) -> None:
    ticks: list[None] = []
    items = [f"item-{i}" for i in range(7)]
    share_out(partial(noting, tmp_path), items, num_workers, lambda: ticks.append(None))
    pids = [int((tmp_path / item).read_text()) for item in items]  # one line each
    assert len(ticks) == 2 * len(items)
    assert len(set(pids)) <= num_workers
    assert (os.getpid() in pids) == (num_workers == 1)
    assert all((tmp_path / f"closed-{pid}").exists() for pid in pids)
    assert not multiprocessing.active_children()


def test_one_worker_works_apart_where_asked(tmp_path: Path) -> None:
    share_out(partial(noting, tmp_path), ["a", "b"], 1, lambda: None, apart=True)
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() != f"{os.getpid()}\n"


def test_nothing_to_do_starts_nothing(tmp_path: Path) -> None:
    share_out(unstartable, [], 2, lambda: None)


@pytest.mark.parametrize("num_workers", [1, 2])
@pytest.mark.parametrize(
    ("item", "message"),
    [("user error", "^The item is too heavy.$"), ("defect", "the world is flat")],
)
def test_what_a_worker_raises_is_raised_here(
    tmp_path: Path, num_workers: int, item: str, message: str
) -> None:
    expected: tuple = (UserError,) if item == "user error" else (RuntimeError, ZeroDivisionError)
    with pytest.raises(expected, match=message):
        share_out(partial(noting, tmp_path), ["a", item, "b"], num_workers, lambda: None)
    assert not multiprocessing.active_children()


def test_a_worker_that_dies_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exit code 7"):
        share_out(partial(noting, tmp_path), ["a", "death", "b"], 2, lambda: None)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_worker_that_cannot_start_says_why(num_workers: int) -> None:
    with pytest.raises(UserError, match="There is no simulator"):
        share_out(unstartable, ["a", "b"], num_workers, lambda: None)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_an_interrupt_leaves_no_process(tmp_path: Path, num_workers: int) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        share_out(partial(noting, tmp_path), ["a", "b", "c"], num_workers, interrupted)
    assert not multiprocessing.active_children()
