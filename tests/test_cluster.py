"""Two nodes of Ray on this machine: the bytes of one process, whatever is killed in the middle."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from parrot_data.jobs.job import PROGRAM
from tests.cli.commands import parrot
from tests.noting_world import DELAY_S
from tests.small_project import ROOT, make_project

pytest.importorskip("ray", reason="the extra ray is not installed")

# In one process: a cluster takes as long to start as all the rest
pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore"),  # Ray's own, and of sockets that it leaves to the system
]

NUM_BLOCKS = 12
STORE_BYTES = 80 << 20
PATIENCE_S = 300.0  # of a machine that does much else
# A node that is gone is to be missed after seconds; one that is slow is not to be
MISSED = {"health_check_period_ms": 1000, "health_check_initial_delay_ms": 1000}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    with pytest.MonkeyPatch.context() as patch:
        # What the nodes' processes inherit: the tests' modules, and episodes that take a while
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
        patch.setenv(DELAY_S, "0.2")
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # it would leave a token in the home folder
        head = {**node, "include_dashboard": False, "_system_config": MISSED}
        made = Cluster(initialize_head=True, head_node_args=head)
        made.add_node(**node)
        patch.delenv(DELAY_S)
        yield made
        made.shutdown()
        gc.collect()  # files that Ray leaves open, while warnings of them are ignored


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("swept") / "project")


@pytest.fixture
def _in_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))


@pytest.fixture(scope="module")
def expected(project: Path) -> dict[str, bytes]:
    """Episodes of one process of this machine."""
    assert end_of(call(project, "generate", "--out", "local", "--workers", "1")) == 0
    return files_of(project / "local")


def call(project: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Call `parrot` in a process of its own."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, *PROGRAM, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
    )


def end_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end; gives its status."""
    status = process.wait(PATIENCE_S)
    assert process.stdin is not None
    process.stdin.close()
    return status


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def complete_blocks(out: Path) -> list[Path]:
    return sorted(out.with_name(f"{out.name}.partial").glob("episodes-*.json"))


def test_the_bytes_of_a_killed_driver_are_those_of_one_process(
    cluster: Any, project: Path, expected: dict[str, bytes]
) -> None:
    out = project / "resumed"
    arguments = ("generate", "--out", "resumed", "--ray", cluster.address)
    driver = call(project, *arguments)
    wait_for(lambda: complete_blocks(out) or driver.poll() is not None)
    driver.send_signal(signal.SIGKILL)
    assert end_of(driver) == -signal.SIGKILL
    made = complete_blocks(out)
    assert 0 < len(made) < NUM_BLOCKS
    tar = made[0].with_suffix(".tar")
    before = tar.stat().st_mtime_ns
    assert end_of(call(project, *arguments)) == 0
    assert files_of(out) == expected
    assert (out / tar.name).stat().st_mtime_ns == before  # it was not made again


@pytest.mark.usefixtures("_in_project")
def test_runs_of_a_killed_sweep_are_those_of_this_machine_and_a_failing_one_is_named(
    cluster: Any, project: Path
) -> None:
    matrix = ("--set", "finetune.methods=[parrot,sac,bc_sac]", "--set", "finetune.parts=[bc]")
    there = ("sweep", "--ray", cluster.address, *matrix)
    driver = call(project, *there)
    wait_for(lambda: list(project.glob("runs/*/*/0/config.json")) or driver.poll() is not None)
    driver.send_signal(signal.SIGKILL)
    assert end_of(driver) == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in project.glob("runs/*/*/0/*.*")}
    assert kept
    here = ("sweep", "--runs", "again", "--logs", "", "--jobs", "2", *matrix)
    for arguments in (there, here):
        done = parrot(*arguments)
        assert done.exit_code == 1
        assert "error: reach-near/bc_sac/0: models/bc" in done.stderr
        assert "1 of 3 runs failed" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # they were not made again
    made = files_of(project / "runs")
    assert made == files_of(project / "again")
    assert {name.rpartition("/")[0] for name in made} == {"reach-near/parrot/0", "reach-near/sac/0"}
    assert parrot("sweep", "--ray", cluster.address).exit_code == 0  # nothing is left to be made


@pytest.mark.usefixtures("_in_project")
def test_nodes_of_other_code_are_refused(
    cluster: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from parrot_data.cluster import items

    def changed(module: str) -> dict[str, str]:
        return {"Python": "3.0", "torch": "0.1"}

    monkeypatch.setattr(items, "what_runs_here", changed)
    done = parrot("generate", "--out", "refused", "--ray", cluster.address)
    assert done.exit_code == 1
    assert "would not make the same bytes: Python is 3.11" in done.stderr
    assert not (project / "refused").exists()


@pytest.mark.usefixtures("_in_project")
def test_what_no_node_has_is_refused(cluster: Any) -> None:
    done = parrot("generate", "--out", "large", "--ray", cluster.address, "--cpus", "64")
    assert done.exit_code == 1
    assert "no node has 64 CPUs and 0 GPUs" in done.stderr


def test_a_node_that_is_killed_does_not_show(
    cluster: Any, project: Path, expected: dict[str, bytes]
) -> None:
    """The last of the tests: the node does not come back."""
    out = project / "halved"
    driver = call(project, "generate", "--out", "halved", "--ray", cluster.address)
    wait_for(lambda: complete_blocks(out) or driver.poll() is not None)
    (node,) = cluster.worker_nodes
    cluster.remove_node(node, allow_graceful=False)
    assert len(complete_blocks(out)) < NUM_BLOCKS
    assert end_of(driver) == 0
    assert files_of(out) == expected
