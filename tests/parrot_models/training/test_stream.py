"""Streaming learns what the memmap learns, from a folder or S3; bounded, and all of it checked."""

from __future__ import annotations

import shutil
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from in_ranks import in_ranks
from learnable import STREAM, files_of, train, write_learnable
from object_store import ObjectStore, object_store

from parrot_data.errors import UserError
from parrot_data.stores import arrival
from parrot_data.stores.arrival import Arrivals
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.tar_cache import TarCache
from parrot_models.training import stream as module
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.held_out import Places
from parrot_models.training.ranks import ALONE, Ranks
from parrot_models.training.stream import Joined, StreamedBatches

WITHIN = 0.1  # nats a dimension: other batches of the same data, and few steps
EPISODES, PER_TAR = 40, 5

# What server and clients of S3 themselves warn of is theirs
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_learnable(tmp_path_factory.mktemp("data") / "shards", EPISODES, PER_TAR)


@pytest.fixture(scope="module")
def streamed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("streamed") / "prior"
    train(data, out, source=STREAM)
    return out


@pytest.fixture(scope="module")
def store(data: Path) -> Iterator[ObjectStore]:
    with object_store() as store:
        store.put(data, "shards")
        yield store


@pytest.fixture(autouse=True)
def of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(arrival, "FIRST_PAUSE_S", 0.001)


class KilledError(Exception):
    """Stands for a kill."""


def kill_at(step: int) -> object:
    def progress(done: int, _total: int, note: str) -> None:
        if note.startswith("flow") and done == step:
            raise KilledError

    return progress


def test_streaming_learns_what_the_memmap_learns_and_holds_out_the_same(
    data: Path, streamed: Path, tmp_path: Path
) -> None:
    metrics = train(data, tmp_path / "prior")
    untrained = train(data, tmp_path / "untrained", steps=1)
    curve = np.loadtxt(streamed / "history.csv", delimiter=",", skiprows=1)
    assert curve[-1, 2] == pytest.approx(metrics["log_prob_per_dim"], abs=WITHIN)
    assert metrics["log_prob_per_dim"] > untrained["log_prob_per_dim"] + 3 * WITHIN
    whole = TransitionBatches(data, tmp_path / "whole", 0.2)
    some = StreamedBatches(
        Arrivals(str(data), tmp_path, None), tmp_path / "some", 0.2, STREAM["buffer_episodes"], 0
    )
    for one, other in zip(whole.held_out(7), some.held_out(7), strict=True):
        assert one.actions.tolist() == other.actions.tolist()
    some.close()


def test_killed_and_called_again_it_ends_in_the_same_bytes(
    data: Path, streamed: Path, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        train(data, tmp_path / "prior", progress=kill_at(18), source=STREAM)
    train(data, tmp_path / "prior", source=STREAM)
    assert files_of(tmp_path / "prior") == files_of(streamed)


def test_a_step_draws_the_same_wherever_the_stream_was_before(data: Path, tmp_path: Path) -> None:
    def drawn(first: int) -> list[bytes]:
        arrivals = Arrivals(str(data), tmp_path, None)
        batches = StreamedBatches(arrivals, tmp_path / "x", 0.2, STREAM["buffer_episodes"], 0)
        batches.sample(8, np.random.default_rng(0))
        shares = [
            batches.share(step, 32, np.random.default_rng(step)).actions.numpy().tobytes()
            for step in range(first, 16)
        ]
        batches.close()
        return shares

    whole = drawn(0)
    assert [drawn(first) for first in (5, 11, 15)] == [whole[first:] for first in (5, 11, 15)]


def test_each_epoch_has_every_episode_once_and_an_order_of_its_own(
    data: Path, tmp_path: Path
) -> None:
    held_out = {3, 4, 17}
    places = Places(list(range(0, EPISODES + 1, PER_TAR)), held_out)
    orders = []
    for epoch in range(3):
        courses = [module._Course(places, 0, Ranks(rank, 3), "x") for rank in range(3)]
        tars = [tar for course in courses for tar in course.tars(epoch)]
        assert sorted(tars) == list(range(EPISODES // PER_TAR))
        orders.append(tars)
    assert len({tuple(order) for order in orders}) == 3
    arrivals = Arrivals(str(data), tmp_path, None)
    course = module._Course(places, 0, ALONE, "x")
    read = module._Episodes(arrivals, places, course)
    num = EPISODES - len(held_out)
    indices = [episode.index for episode in read.take(0, 2 * num)]
    assert Counter(indices[:num]) == Counter(set(range(EPISODES)) - held_out)
    assert Counter(indices[num:]) == Counter(indices[:num])
    for position in (0, 1, 7, num - 1, num, num + 9):
        again = [episode.index for episode in read.take(position, 5)]
        assert again == indices[position : position + 5]
    read.close()


def test_no_more_episodes_are_in_memory_than_params_say(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: Counter[str] = Counter()
    most = 0
    part_of = module._part_of

    def counted(episodes: list) -> object:
        nonlocal most
        part = part_of(episodes)
        alive["episodes"] += len(episodes)
        weakref.finalize(part, alive.subtract, {"episodes": len(episodes)})
        most = max(most, alive["episodes"])
        return part

    monkeypatch.setattr(module, "_part_of", counted)
    buffer = STREAM["buffer_episodes"]
    batches = StreamedBatches(Arrivals(str(data), tmp_path, None), tmp_path / "x", 0.2, buffer, 0)
    seen: set[bytes] = set()
    rng = np.random.default_rng(0)
    for step in range(60):
        seen |= {row.tobytes() for row in batches.share(step, 32, rng).actions.numpy()}
    batches.close()
    assert buffer - 2 <= most <= buffer
    assert len(seen) > 8 * buffer  # far more than the buffer ever held of transitions


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_joined_arrays_are_taken_from_as_if_they_were_one(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(length, *shape)) for length in (3, 1, 5)]
    joined, whole = Joined(arrays), np.concatenate(arrays)
    for rows in (np.arange(9), rng.integers(9, size=(4, 6)), np.array([8, 0])):
        assert np.take(joined, rows, axis=0).tolist() == whole[rows].tolist()
    assert np.asarray(joined).tolist() == whole.tolist()


def test_two_processes_share_a_stream_and_go_on_with_it_as_two(data: Path, tmp_path: Path) -> None:
    def run(out: Path, ranks: Ranks, **more: object) -> dict:
        return train(data, out, ranks, source=STREAM, **more)

    whole, none = in_ranks(2, lambda ranks: run(tmp_path / "whole", ranks))
    assert none == {}
    curve = np.loadtxt(tmp_path / "whole" / "history.csv", delimiter=",", skiprows=1)
    alone = train(data, tmp_path / "alone", source=STREAM)
    assert whole["log_prob_per_dim"] == pytest.approx(alone["log_prob_per_dim"], abs=WITHIN)
    assert curve[-1, 0] == 24
    in_ranks(2, lambda ranks: run(tmp_path / "prior", ranks, progress=kill_at(18)))
    with pytest.raises(UserError, match="was begun by 2 processes"):
        run(tmp_path / "prior", ALONE)
    in_ranks(2, lambda ranks: run(tmp_path / "prior", ranks))
    assert files_of(tmp_path / "prior") == files_of(tmp_path / "whole")


def test_from_s3_come_the_bytes_of_the_folder(
    store: ObjectStore, streamed: Path, tmp_path: Path
) -> None:
    train(store.address("shards"), tmp_path / "prior", source=STREAM)
    assert files_of(tmp_path / "prior") == files_of(streamed)
    assert not (tmp_path / "home").exists()


def test_what_the_cache_has_is_not_asked_for_again(
    data: Path, store: ObjectStore, streamed: Path, tmp_path: Path
) -> None:
    size = sum(path.stat().st_size for path in (data / "tar").iterdir())
    source = {**STREAM, "cache_gb": 2 * size / 1e9}
    store.forget()
    train(store.address("shards"), tmp_path / "prior", source=source)
    assert set(store.asked_for_tars().values()) == {1}
    store.forget()
    train(store.address("shards"), tmp_path / "again", source=source)
    assert not store.asked_for_tars()
    assert files_of(tmp_path / "again") == files_of(streamed)


def test_a_shard_cut_off_half_way_is_asked_for_again(
    store: ObjectStore, tmp_path: Path, data: Path
) -> None:
    name = sorted(path.name for path in (data / "tar").iterdir())[2]
    store.cut(name, times=2)
    with Arrivals(store.address("shards"), tmp_path / "x", None).tar(2) as path:
        assert sha256_file(path) == sha256_file(data / "tar" / name)
    assert store.num_cut(name) == 2


def test_what_never_arrives_is_told_in_one_sentence(
    store: ObjectStore, tmp_path: Path, data: Path
) -> None:
    name = sorted(path.name for path in (data / "tar").iterdir())[2]
    store.cut(name, times=10**6)
    try:
        arrivals = Arrivals(store.address("shards"), tmp_path / "x", None)
        with (
            pytest.raises(UserError, match=rf"{name} did not arrive in 6 attempts"),
            arrivals.tar(2),
        ):
            pytest.fail("it was read")
    finally:
        store.cut(name, times=0)


def test_an_altered_shard_is_refused_before_any_of_it_is_used(
    data: Path, store: ObjectStore, tmp_path: Path
) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(data, forged)
    name = sorted(path.name for path in (forged / "tar").iterdir())[1]
    content = bytearray((forged / "tar" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (forged / "tar" / name).write_bytes(content)
    store.put(forged, "forged")
    for place in (str(forged), store.address("forged")):
        with pytest.raises(UserError, match=rf"{name} was altered: its SHA-256"):
            train(place, tmp_path / "prior", source=STREAM)
    (forged / "tar" / name).write_bytes(content[:-512])
    store.put(forged, "forged")
    with pytest.raises(UserError, match=rf"{name} was altered: it has"):
        train(store.address("forged"), tmp_path / "prior", source=STREAM)
    store.remove(f"forged/tar/{name}")
    with pytest.raises(UserError, match=rf"{name} is missing"):
        train(store.address("forged"), tmp_path / "prior", source=STREAM)
    assert not (tmp_path / "prior").exists()


def test_mistakes_are_one_sentence(store: ObjectStore, data: Path, tmp_path: Path) -> None:
    for place, source, says in (
        (store.address("nothing"), STREAM, "manifest.json is missing"),
        ("gopher://x/y", STREAM, "cannot be read"),
        (store.address("shards"), {"kind": "memmap"}, "set source to stream"),
        (str(tmp_path / "nothing"), STREAM, "manifest.json is missing"),
    ):
        with pytest.raises(UserError, match=says):
            train(place, tmp_path / "prior", source=source)
    assert not (tmp_path / "prior").exists()


def test_a_process_without_a_tar_is_refused(data: Path) -> None:
    places = Places([0, 5], set())
    with pytest.raises(UserError, match="1 tars for 2 processes"):
        module._Course(places, 0, Ranks(0, 2), str(data))


def test_the_cache_keeps_to_its_size_and_lends_nothing_damaged(tmp_path: Path) -> None:
    cache = TarCache(tmp_path / "cache", 3000)
    tars = []
    for number in range(4):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(bytes([number]) * 1000)
        tars.append((sha256_file(path), path))
    (cache.folder / "mine.tar").write_bytes(bytes(10**4))
    for sha256, path in tars[:3]:
        cache.keep(sha256, path)
    assert cache.lend(tars[0][0], tmp_path / "lent")  # so that 1 is the oldest
    cache.keep(*tars[3])
    assert cache.num_bytes() == 3000
    assert not cache.lend(tars[1][0], tmp_path / "none")
    kept = cache.folder / f"{tars[2][0]}.tar"
    kept.write_bytes(b"x" * 1000)
    assert not cache.lend(tars[2][0], tmp_path / "none")
    assert not kept.exists()
    assert not (tmp_path / "none").exists()
    assert (cache.folder / "mine.tar").exists()
