"""The script of docs/slurm.md, as far as a shell can try it: stand-ins note how they are called."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# It notes its arguments, and runs what srun would run where that is quick.
STAND_IN = """#!/bin/bash
name=$(basename "$0")
echo "$name $*" >> "$CALLS"
case "$name" in
    scontrol) printf '%s\\n' $NODES;;
    hostname) echo 10.0.0.1 fe80::1;;
    srun) while [[ $1 == -* ]]; do shift; done; exec "$@";;
    parrot)  # a cluster that is not there would keep it waiting, too
        want=$(($(wc -w <<< "$NODES") > 1 ? 2 : 1))
        until (($(grep -c '^ray ' "$CALLS") >= want)); do sleep 0.02; done
        exit "${STATUS:-0}";;
esac
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script, in a folder with an environment that activates nothing."""
    (text,) = re.findall(r"```bash\n(.*?)```", (ROOT / "docs/slurm.md").read_text(), re.DOTALL)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text("")
    (tmp_path / "bin").mkdir()
    for name in ("scontrol", "srun", "hostname", "ray", "parrot"):
        (tmp_path / "bin" / name).write_text(STAND_IN)
        (tmp_path / "bin" / name).chmod(0o755)
    path = tmp_path / "parrot.sbatch"
    path.write_text(text)
    return path


def calls_of(script: Path, nodes: str, *arguments: str, status: int = 0) -> list[str]:
    """How commands are called by a job of some nodes, in any order of those at once."""
    calls = script.with_name("calls")
    environment = {
        "PATH": os.pathsep.join([str(script.parent / "bin"), os.environ["PATH"]]),
        "CALLS": str(calls),
        "NODES": nodes,
        "STATUS": str(status),
        "SLURM_JOB_NODELIST": "some",
        "SLURM_JOB_ID": "41234",
        "SLURM_CPUS_PER_TASK": "8",
        "PARROT_HEAD_S": "0",
        "PARROT_NODES_S": "0",
    }
    command = ["bash", str(script), *arguments]
    done = subprocess.run(command, cwd=script.parent, env=environment, check=False, timeout=60)
    assert done.returncode == status
    return calls.read_text().splitlines()


def test_a_shell_can_read_it(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert script.read_text().startswith("#!/bin/bash\n#SBATCH ")


def test_a_head_and_the_others_are_started_and_parrot_finds_them(script: Path) -> None:
    calls = calls_of(script, "a b c")
    started = [call for call in calls if call.startswith("ray ")]
    common = "--num-cpus 8 --disable-usage-stats --block"
    assert sorted(started) == [
        f"ray start --address=10.0.0.1:21234 {common}",
        f"ray start --head --node-ip-address=10.0.0.1 --port=21234 {common}",
    ]
    of_srun = [call for call in calls if call.startswith("srun ") and " ray start" in call]
    assert any("--nodelist=a " in call and "--head" in call for call in of_srun)
    assert any("--nodes=2 --ntasks=2 --exclude=a " in call for call in of_srun)
    assert "parrot sweep --ray 10.0.0.1:21234 --cpus 1" in calls


def test_one_node_is_enough_and_any_command_is_given_on(script: Path) -> None:
    calls = calls_of(script, "a", "generate", "--out", "data/my episodes")
    assert len([call for call in calls if call.startswith("ray ")]) == 1
    assert "parrot generate --out data/my episodes --ray 10.0.0.1:21234 --cpus 1" in calls


def test_a_failure_is_the_jobs(script: Path) -> None:
    calls_of(script, "a", status=1)
