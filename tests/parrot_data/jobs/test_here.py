"""Jobs on this machine: all are run, none outlives whoever asked for it, and none is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from parrot_data.jobs.here import run_here
from parrot_data.jobs.job import Ended, Job
from tests.noting_world import BROKEN_AT, DELAY_S, LOG
from tests.small_project import ROOT, make_project

PATIENCE_S = 300.0
PROGRAM = """
from tests.parrot_data.jobs.test_here import generation, ignore, run_here
list(run_here([generation("a")], 1, 1, ignore))
"""


def generation(name: str, *values: str) -> Job:
    sets = [word for value in values for word in ("--set", value)]
    arguments = ("generate", "--workers", "1", *sets)
    return Job(name, arguments, {}, Path(name))


def ignore(_doing: object) -> None:
    """Listen to nothing."""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where processes note the episodes they begin; this one works in a project."""
    monkeypatch.chdir(make_project(tmp_path / "project", parts=()))
    (tmp_path / "log").mkdir()
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    return tmp_path / "log"


def wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_job_that_fails_is_told_and_the_others_are_made(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BROKEN_AT, "12")
    jobs = [generation("broken"), generation("small", "generate.num_episodes=6")]
    heard: list[set[str]] = []
    ended = list(run_here(jobs, 1, 1, lambda doing: heard.append(set(doing))))
    broken, small = jobs
    assert ended == [Ended(broken, "The scene is too crowded."), Ended(small, "")]
    assert (Path("small") / "manifest.json").exists()
    assert not Path("broken").exists()
    assert {"broken"} in heard
    assert all(len(names) <= 1 for names in heard)  # one at a time, as asked for


def test_none_is_left_when_the_caller_leaves_and_its_work_is_gone_on_with(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DELAY_S, "0.1")

    class LeftError(Exception):
        pass

    def listen(_doing: object) -> None:
        if list(Path("a.partial").glob("episodes-*.json")):
            raise LeftError

    with pytest.raises(LeftError):
        list(run_here([generation("a")], 1, 1, listen))
    assert not any(is_alive(int(path.name)) for path in log.iterdir())
    made = {p.stem: p.stat().st_mtime_ns for p in Path("a.partial").glob("episodes-*.tar")}
    done = [path.stem for path in Path("a.partial").glob("episodes-*.json")]
    monkeypatch.setenv(DELAY_S, "0")
    assert list(run_here([generation("a")], 1, 1, ignore)) == [Ended(generation("a"), "")]
    for name in done:
        assert (Path("a") / f"{name}.tar").stat().st_mtime_ns == made[name]


def test_none_outlives_a_caller_that_is_killed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DELAY_S, "600")
    caller = subprocess.Popen([sys.executable, "-c", PROGRAM])
    wait_for(lambda: list(log.iterdir()))
    (path,) = log.iterdir()
    assert is_alive(int(path.name))
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    wait_for(lambda: not is_alive(int(path.name)))
