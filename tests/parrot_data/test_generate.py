"""The same bytes from any number of workers, through kills and interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError
from synthetic import (
    ENVIRONMENT,
    SyntheticCollector,
    files_of,
    generate_params,
    hashes_of,
    synthetic_episodes,
)

from parrot_data.errors import UserError
from parrot_data.generate import generate
from parrot_data.interruption import ENDING
from parrot_data.stores.entries import entry_of
from parrot_data.stores.manifest import load_manifest
from parrot_data.stores.tar_shards import read_episodes
from parrot_data.stores.verify import verify

# What a shell would run: it says when it was interrupted, as the command line does.
PROGRAM = """
import signal
import sys
from pathlib import Path
from synthetic import ENVIRONMENT, SyntheticCollector, generate_params
from parrot_data.generate import generate
if __name__ == "__main__":
    # A shell that runs the tests in the background has them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    out, log, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    collector = SyntheticCollector(delay_s=0.1, log=log)
    try:
        generate(generate_params(), ENVIRONMENT, out, workers=workers, make_collector=collector)
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""


def run(out: Path, workers: int = 1, collector: SyntheticCollector | None = None, **changes):
    params = generate_params(**changes)
    make_collector = collector or SyntheticCollector()
    return generate(params, ENVIRONMENT, out, workers=workers, make_collector=make_collector)


def test_result_holds_every_episode_in_order(tmp_path: Path) -> None:
    summary = run(tmp_path / "e")
    manifest = verify(tmp_path / "e")
    expected = synthetic_episodes(23)
    successes = sum(episode.success for episode in expected)
    assert summary == {
        "num_episodes": 23,
        "num_successes": successes,
        "success_rate": successes / 23,
    }
    assert list(manifest.entries(tmp_path / "e")) == [entry_of(episode) for episode in expected]
    assert hashes_of(read_episodes(tmp_path / "e")) == hashes_of(expected)
    assert [file.num_episodes for file in manifest.files] == [5, 5, 5, 5, 3]
    assert manifest.params["environment"] == ENVIRONMENT.model_dump()
    assert {p.name for p in tmp_path.iterdir()} == {"e"}


def test_number_of_workers_does_not_show(tmp_path: Path) -> None:
    for workers in (1, 2, 3):
        run(tmp_path / str(workers), workers)
    assert files_of(tmp_path / "1") == files_of(tmp_path / "2") == files_of(tmp_path / "3")


def test_progress_counts_every_episode_and_first_what_was_there(tmp_path: Path) -> None:
    params, calls = generate_params(), []

    def listen(done: int, total: int, note: str) -> None:
        calls.append((done, total))

    broken = SyntheticCollector(broken_at=12)
    for collector in (broken, SyntheticCollector()):
        try:
            generate(
                params,
                ENVIRONMENT,
                tmp_path / "e",
                workers=1,
                progress=listen,
                make_collector=collector,
            )
        except UserError:
            assert calls == [(done, 23) for done in range(13)]
            calls.clear()
    assert calls == [(done, 23) for done in range(10, 24)]  # two whole files were there


def test_finished_files_are_not_made_again(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with pytest.raises(UserError, match="too crowded"):
        run(tmp_path / "e", collector=SyntheticCollector(log=first, broken_at=12))
    run(tmp_path / "e", collector=SyntheticCollector(log=second))
    assert collected(second) == set(range(10, 23))
    run(tmp_path / "whole")
    assert files_of(tmp_path / "e") == files_of(tmp_path / "whole")


@pytest.mark.parametrize(
    "name", ["episodes-00000.tar", "episodes-00000.jsonl", "episodes-00000.json"]
)
@pytest.mark.parametrize("harm", ["flip", "empty"])
def test_a_damaged_file_of_unfinished_work_is_made_again_and_never_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, harm: str
) -> None:
    with pytest.raises(UserError, match="too crowded"):
        run(tmp_path / "e", collector=SyntheticCollector(broken_at=12))
    path, log = tmp_path / "e.partial" / name, tmp_path / "log"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(b"" if harm == "empty" else bytes(content))
    log.mkdir()
    run(tmp_path / "e", collector=SyntheticCollector(log=log))
    assert collected(log) == {*range(5), *range(10, 23)}
    assert len([m for m in caplog.messages if "made again" in m]) == 1
    run(tmp_path / "whole")
    assert files_of(tmp_path / "e") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("harm", ["shorten", "other params"])
def test_what_is_not_this_runs_finished_work_is_made_again(tmp_path: Path, harm: str) -> None:
    with pytest.raises(UserError, match="too crowded"):
        run(tmp_path / "e", collector=SyntheticCollector(broken_at=12))
    if harm == "shorten":
        os.truncate(tmp_path / "e.partial" / "episodes-00000.tar", 100)
    changes = {} if harm == "shorten" else {"action_noise": 0.2}
    log = tmp_path / "log"
    log.mkdir()
    run(tmp_path / "e", collector=SyntheticCollector(log=log), **changes)
    again = set(range(5)) if harm == "shorten" else set(range(10))
    assert collected(log) == again | set(range(10, 23))
    verify(tmp_path / "e")


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_run_leaves_no_worker_and_resumes_to_the_same_bytes(
    tmp_path: Path, workers: int
) -> None:
    process, log = started(tmp_path, workers)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(is_running(int(path.name)) for path in log.iterdir()))
    before = collected(log)
    assert before < set(range(23))
    assert not (tmp_path / "e").exists()
    run(tmp_path / "e", workers)
    run(tmp_path / "whole")
    assert files_of(tmp_path / "e") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_is_answered_once_and_leaves_no_worker(tmp_path: Path, workers: int) -> None:
    process, log = started(tmp_path, workers)
    pids = {int(path.name) for path in log.iterdir()}
    assert all(is_deaf(pid) for pid in pids - {process.pid})
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate()
    assert stderr.splitlines() == ["interrupted"]  # no worker's traceback beside it
    assert process.returncode == 1
    assert not any(is_running(pid) for pid in pids)
    run(tmp_path / "e")
    verify(tmp_path / "e")


def test_result_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    run(tmp_path / "e")
    old = files_of(tmp_path / "e")
    with pytest.raises(UserError, match="too crowded"):
        run(tmp_path / "e", collector=SyntheticCollector(broken_at=12), seed=1)
    assert files_of(tmp_path / "e") == old
    run(tmp_path / "e", collector=SyntheticCollector(seed=1), seed=1)
    assert load_manifest(tmp_path / "e", "episodes").seed == 1


def test_no_worker_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--workers"):
        run(tmp_path / "e", workers=0)


@pytest.mark.parametrize(
    "change",
    [
        {"families": {"juggle": 1.0}},
        {"families": {}},
        {"families": {"pick": 0.0}},
        {"families": {"pick": 2.0, "place": -1.0}},
        {"num_objects": [2, 1]},
        {"num_objects": [1, 4]},
        {"num_objects": [0, 1]},
        {"num_episodes": 0},
        {"seed": "1"},
        {"colour": 1},
    ],
)
def test_impossible_params_are_refused(change: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        generate_params(**change)


def test_simulation_gives_the_same_bytes_from_one_and_from_two_workers(tmp_path: Path) -> None:
    params = generate_params(num_episodes=4, episodes_per_file=2)
    for workers in (1, 2):
        generate(params, ENVIRONMENT, tmp_path / str(workers), workers=workers)
    assert files_of(tmp_path / "1") == files_of(tmp_path / "2")
    verify(tmp_path / "1")


def collected(log: Path) -> set[int]:
    return {int(index) for path in log.iterdir() for index in path.read_text().split()}


def started(tmp_path: Path, workers: int) -> tuple[subprocess.Popen[str], Path]:
    """A run in a process group of its own, well into its work but far from its end."""
    log, program = tmp_path / "log", tmp_path / "program.py"
    log.mkdir()
    program.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "e"), str(log), str(workers)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    done = tmp_path / "e.partial" / "episodes-00000.json"
    wait_until(lambda: done.exists() and len(list(log.iterdir())) == workers)
    return process, log


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_deaf(pid: int) -> bool:
    """Whether the process blocks Ctrl-C, TERM and a hang-up: only its parent is to answer."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    blocked = next(line.split()[1] for line in lines if line.startswith("SigBlk:"))
    return all(int(blocked, 16) & 1 << signum - 1 for signum in ENDING)
