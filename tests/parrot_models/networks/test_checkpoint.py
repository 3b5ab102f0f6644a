"""A checkpoint is read as it was saved or not at all, and a damaged one is kept and spoken of."""

from __future__ import annotations

import logging
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from parrot_models.networks.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "out.partial").mkdir()
    path = tmp_path / "out.partial" / "flow.checkpoint"
    save_checkpoint(path, state())
    return path


def state() -> dict:
    weights = torch.arange(12.0).view(3, 4)
    return {"module": {"w": weights}, "step": 7, "rng": {"state": 2**100}, "curve": "a,b\n"}


def test_a_state_comes_back(path: Path) -> None:
    loaded = load_checkpoint(path)
    assert loaded is not None
    assert torch.equal(loaded.pop("module")["w"], state()["module"]["w"])
    assert loaded == {key: value for key, value in state().items() if key != "module"}
    assert [p.name for p in path.parent.iterdir()] == ["flow.checkpoint"]


def test_where_there_is_none_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_checkpoint(tmp_path / "flow.checkpoint") is None
    assert not caplog.records


def flipped(place: int) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        harmed = bytearray(content)
        harmed[place] ^= 1
        return bytes(harmed)

    return flip


@pytest.mark.parametrize(
    "harm",
    [
        lambda _content: b"",
        lambda content: content[:10],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda _content: b"not a checkpoint, and a sentence too long to be a header " * 9,
        *(flipped(place) for place in (0, 30, 84, 85, 400, -1)),
    ],
)
def test_a_damaged_one_is_set_aside_in_one_sentence(
    path: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[bytes], bytes]
) -> None:
    harmed = harm(path.read_bytes())
    path.write_bytes(harmed)
    with caplog.at_level(logging.WARNING):
        assert load_checkpoint(path) is None
    (record,) = caplog.records
    assert str(path) in record.getMessage()
    assert "set aside" in record.getMessage()
    assert not list(path.parent.iterdir())
    kept = path.parent.with_name("out.damaged.partial") / "flow.checkpoint"
    assert kept.read_bytes() == harmed
    save_checkpoint(path, state())
    assert load_checkpoint(path) is not None


def test_every_flipped_byte_is_seen(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(flipped(place)(whole))
        assert load_checkpoint(path) is None, place


def test_a_full_disk_is_the_systems_error_and_the_last_state_stays(path: Path) -> None:
    """By a limit on the size of files; torch alone would speak of an unexpected position."""
    before = path.read_bytes()
    large = {"module": {"w": torch.zeros(1 << 20)}}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            save_checkpoint(path, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before
