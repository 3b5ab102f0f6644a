"""`parrot train-prior` as torchrun starts it: the bytes of one process, and nothing told twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TINY = (
    "keypoints.num_keypoints=4", "keypoints.width=4", "keypoints.steps=2", "keypoints.batch_size=8",
    "train_prior.encoder={kind: fast, feature_dim: 4}", "train_prior.context_dim=4",
    "train_prior.flows.affine.hidden=[8]",
    "train_prior.batch_size=16", "train_prior.log_every=4",
)  # fmt: skip
PROGRAM = "from cli.main import app; app()"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sys.path.insert(0, str(ROOT / "tests" / "parrot_models"))
    try:
        from small_shards import write_made_up
    finally:
        sys.path.pop(0)
    from tests.specs import spec_of

    spec = spec_of(images={"image": (16, 12)}, vectors={"pose": 4}, action_dim=3, has_mirror=True)
    return write_made_up(tmp_path_factory.mktemp("data") / "shards", spec, [8] * 10)


def started(
    folder: Path, data: Path, num_processes: int | None, *settings: str
) -> subprocess.Popen[str]:
    """The command in a folder; by torchrun, with a number of processes."""
    command = [sys.executable, "-c", PROGRAM]
    if num_processes is not None:
        launch = ["--standalone", "--nproc-per-node", str(num_processes), "--no-python", "--"]
        command = [str(BIN / "torchrun"), *launch, *command]
    command += ["train-prior", "--data", str(data), "--out", "prior", "--logs", ""]
    command += ["--params", str(ROOT / "params.yaml")]
    for setting in (*TINY, *settings):
        command += ["--set", setting]
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_one_process_of_torchrun_makes_the_bytes_of_none(data: Path, tmp_path: Path) -> None:
    runs = [started(tmp_path / "plain", data, None, "train_prior.steps=6")]
    runs.append(started(tmp_path / "by_torchrun", data, 1, "train_prior.steps=6"))
    for run in runs:
        told, _ = run.communicate()
        assert run.returncode == 0, told
    plain = files_of(tmp_path / "plain" / "prior")
    assert files_of(tmp_path / "by_torchrun" / "prior") == plain


def test_a_mistake_is_told_once(data: Path, tmp_path: Path) -> None:
    run = started(tmp_path, data, 2, "train_prior.batch_size=17")
    told, _ = run.communicate()
    assert run.returncode != 0
    assert told.count("error: train_prior.batch_size is 17") == 1
    assert not list(tmp_path.iterdir())


def test_a_process_that_is_killed_ends_the_others_with_one_sentence(
    data: Path, tmp_path: Path
) -> None:
    run = started(tmp_path, data, 2, "train_prior.steps=1000000")
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if "flow" in line:
            os.kill(_process_of(run.pid, rank=1), signal.SIGKILL)
            break
    rest, _ = run.communicate()
    assert run.returncode != 0
    told = [line for line in rest.splitlines() if line.startswith("error: ")]
    assert len(told) == 1, "".join(lines) + rest
    assert "the same command goes on from" in told[0]
    assert not (tmp_path / "prior").exists()


def _process_of(torchrun: int, rank: int) -> int:
    children = Path(f"/proc/{torchrun}/task/{torchrun}/children").read_text().split()
    for child in children:
        if f"RANK={rank}\0".encode() in Path(f"/proc/{child}/environ").read_bytes():
            return int(child)
    raise AssertionError(f"no process has rank {rank}")
