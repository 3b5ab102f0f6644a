"""Entries come back as they were written, one by one, or an error says what is wrong with them."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import synthetic_episodes

from parrot_data.errors import UserError
from parrot_data.stores.entries import (
    ENTRIES,
    EpisodeEntry,
    entry_of,
    line_of,
    read_entries,
    write_entries,
)
from parrot_data.stores.records import file_entry
from tests.memory import grows_by_less, peak_bytes


def some_entries() -> list[EpisodeEntry]:
    return [entry_of(episode) for episode in synthetic_episodes(3)]


def test_entries_come_back_a_line_each(tmp_path: Path) -> None:
    write_entries(tmp_path / ENTRIES, some_entries())
    file = file_entry(tmp_path, tmp_path / ENTRIES)
    assert list(read_entries(tmp_path, file)) == some_entries()
    lines = (tmp_path / ENTRIES).read_text().splitlines(keepends=True)
    assert lines == [line_of(entry) for entry in some_entries()]
    assert [path.name for path in tmp_path.iterdir()] == [ENTRIES]


def test_every_flipped_bit_is_found_before_the_first_entry(tmp_path: Path) -> None:
    path = tmp_path / ENTRIES
    write_entries(path, some_entries())
    file, whole = file_entry(tmp_path, path), path.read_bytes()
    for place in range(len(whole)):
        bit = 1 << place % 8
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"episodes\.jsonl was altered"):
            read_entries(tmp_path, file)
    path.write_bytes(whole[:-1])
    with pytest.raises(UserError, match="bytes where its manifest says"):
        read_entries(tmp_path, file)
    path.unlink()
    with pytest.raises(UserError, match=r"episodes\.jsonl is missing"):
        read_entries(tmp_path, file)


def test_a_line_names_the_scene_of_its_episode() -> None:
    for episode in synthetic_episodes(8):
        said = json.loads(line_of(entry_of(episode)))
        assert list(said) == sorted(said)
        assert said == {
            **episode.metadata(),
            "num_steps": episode.num_steps,
            "content_hash": episode.content_hash(),
        }


def test_an_entry_is_what_is_read_whatever_the_facts(tmp_path: Path) -> None:
    facts = {"pair": (1, 2.1), "numbers": {3: 10**30}, "b": ["\u2028"], "long": "x" * 12_000}
    entry = entry_of(replace(synthetic_episodes(1)[0], facts=facts))
    write_entries(tmp_path / ENTRIES, [entry])
    assert list(read_entries(tmp_path, file_entry(tmp_path, tmp_path / ENTRIES))) == [entry]


@pytest.mark.parametrize("value", [float("nan"), "x" * 20_000, "\ud800", print, {1: 0, "1": 0}])
def test_facts_that_could_not_be_read_are_refused(value: object) -> None:
    with pytest.raises(UserError, match="episode 0 cannot be described"):
        entry_of(replace(synthetic_episodes(1)[0], facts={"x": value}))


def test_facts_too_deep_to_be_read_are_refused() -> None:
    facts: dict = {}
    for _ in range(300):
        facts = {"x": facts}
    with pytest.raises(UserError, match="episode 0 cannot be described"):
        entry_of(replace(synthetic_episodes(1)[0], facts=facts))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"index": 1', '"index": "1"', r"line 2\.index"),
        ('"index": 1', '"colour": 1, "index": 1', r"line 2\.colour"),
        ('"index": 1, ', "", r"line 2\.index"),
        ('"index": 1', '"index": -1', r"line 2\.index"),
        ('"num_steps": 1,', '"num_steps": 0,', r"line 2\.num_steps"),
        ('"num_steps": 1,', '"num_steps": 1000001,', r"line 2\.num_steps"),
        ('"index": 1', "index", r"line 2: Invalid JSON"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / ENTRIES
    write_entries(path, some_entries())
    path.write_text(path.read_text().replace(old, new))
    entries = read_entries(tmp_path, file_entry(tmp_path, path))
    assert next(entries) == some_entries()[0]
    with pytest.raises(UserError, match=message):
        next(entries)


def test_memory_does_not_grow_with_the_number_of_entries(tmp_path: Path) -> None:
    entry = some_entries()[0]

    def peak(count: int) -> int:
        path = tmp_path / ENTRIES
        write_entries(path, (entry for _ in range(count)))
        entries = read_entries(tmp_path, file_entry(tmp_path, path))
        return peak_bytes(lambda: deque(entries, maxlen=0))

    assert grows_by_less(peak, 1000, 4000, 3000)  # not a byte an entry
