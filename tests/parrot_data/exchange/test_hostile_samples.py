"""Tars of others that mislead: each is one sentence, and nothing larger than an episode is read."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from parrot_data.errors import UserError
from parrot_data.import_ import ImportParams, import_episodes


def npy(rows: np.ndarray) -> bytes:
    plain = io.BytesIO()
    np.save(plain, rows, allow_pickle=True)
    return plain.getvalue()


def claiming(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + bytes([118, 0]) + header.ljust(117) + b"\n"


GOOD = {
    "0.actions.npy": npy(np.zeros((3, 2), np.float32)),
    "0.obs.state.npy": npy(np.zeros((4, 2), np.float32)),
}


def tar_of(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def take(source: Path, out: Path, **changes: object) -> None:
    values = {"format": "webdataset", "task": "reach", "success": "all", "bounds": None}
    import_episodes(ImportParams(**{**values, **changes}), source, out)


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({"0.actions.npy": npy(np.array([{}], dtype=object))}, "is pickled, and nothing is"),
        ({"0.actions.npy": claiming("(900000, 60000)")}, "more than 2147483648 bytes"),
        ({"0.actions.npy": claiming("(10000000000, 2)")}, "has 10000000000 rows"),
        ({"0.actions.npy": claiming("(3, 2)")}, "is damaged"),
        ({"0.actions.npy": GOOD["0.actions.npy"] + b"more"}, "holds more than it says"),
        ({"0.actions.npy": b"nothing"}, "is damaged"),
        ({"0.obs.state.npy.gz": b"nothing"}, "is damaged"),
        ({"0.obs.state.npy.gz": gzip.compress(GOOD["0.obs.state.npy"])[:-9]}, "is damaged"),
        ({"0.obs.state.npy.gz": gzip.compress(GOOD["0.obs.state.npy"] + bytes(1 << 27), 1)}, "dam"),
        ({"0.meta.json": b"[" * (1 << 20) + b"!"}, "is too large"),
        ({"0.actions.npy": b""}, "is damaged"),
    ],
)
def test_a_hostile_member_is_refused(members: dict[str, bytes], word: str, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", {**GOOD, **members})
    with pytest.raises(UserError, match=word) as error:
        take(path, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_sample_without_actions_is_refused(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", {"0.obs.state.npy": GOOD["0.obs.state.npy"]})
    with pytest.raises(UserError, match=r"sample 0 has no actions\.npy, only obs\.state\.npy"):
        take(path, tmp_path / "out")


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for _ in range(2):
            info = tarfile.TarInfo("0.actions.npy")
            tar.addfile(info, io.BytesIO())
    with pytest.raises(UserError, match=r"0\.actions\.npy twice"):
        take(path, tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_what_is_no_file_is_not_followed(kind: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret.npy").write_bytes(npy(np.ones((3, 2), np.float32)))
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("0.actions.npy")
        info.type, info.linkname = kind, str(tmp_path / "secret.npy")
        tar.addfile(info)
        state = tarfile.TarInfo("0.obs.state.npy")
        state.size = len(GOOD["0.obs.state.npy"])
        tar.addfile(state, io.BytesIO(GOOD["0.obs.state.npy"]))
    with pytest.raises(UserError, match="has no actions"):
        take(path, tmp_path / "out")


def test_a_folder_without_tars_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="holds no tar"):
        take(tmp_path / "in", tmp_path / "out")


def test_an_empty_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no sample"):
        take(tar_of(tmp_path / "a.tar", {}), tmp_path / "out")


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    more = {"0.depth.npy": npy(np.zeros(3)), "0.note.txt": b"hello"}
    take(tar_of(tmp_path / "a.tar", {**GOOD, **more}), tmp_path / "out")
    assert "of each sample, depth.npy, note.txt are not kept" in caplog.text
