"""The same episodes on processors with fused multiply-adds and without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parrot_data.arithmetic import PLAIN, TUNABLES, plain_arithmetic

# What a processor without fused multiply-adds would have, for the C library and for numpy.
OLD_PROCESSOR = {
    TUNABLES: "glibc.cpu.hwcaps=-AVX2,-FMA",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL",
}
PROGRAM = """
import hashlib, math, sys
from pathlib import Path
from parrot_data.generate import GenerateParams, generate
from parrot_data.worlds.tabletop.params import DemonstrationParams, TabletopParams
if __name__ == "__main__":
    out, workers = Path(sys.argv[1]), int(sys.argv[2])
    environment = TabletopParams(
        name="tabletop", image_size=16, proprioception=True, episode_steps=25,
        demonstrations=DemonstrationParams(action_noise=0.1, num_objects=[2, 3]),
    )
    params = GenerateParams(
        seed=0, num_episodes=8, episodes_per_file=4, tasks={"pick": 1.0, "place": 1.0}, zstd_level=1
    )
    generate(params, environment, out, workers=workers)
    sines = repr([math.sin(i / 7.0) for i in range(20000)])
    for seen in (sines.encode(), (out / "episodes.jsonl").read_bytes()):
        print(hashlib.sha256(seen).hexdigest())
"""


def simulated(tmp_path: Path, workers: int, variables: dict[str, str]) -> list[str]:
    """Hashes of what the C library's sine gives in a process, and of episodes made from there."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    inherited = {k: v for k, v in os.environ.items() if k not in OLD_PROCESSOR}
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), str(tmp_path / f"e{workers}"), str(workers)],
        env={**inherited, "PYTHONPATH": paths, **variables},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_episodes_do_not_depend_on_the_kind_of_processor(tmp_path: Path) -> None:
    sines, episodes = simulated(tmp_path, 1, {})
    other_sines, same_episodes = simulated(tmp_path, 2, OLD_PROCESSOR)
    if sines == other_sines:
        pytest.skip("the C library computes in one way alone here")
    assert episodes == same_episodes


@pytest.mark.parametrize("before", [None, "glibc.malloc.check=0"])
def test_a_process_keeps_its_own_tunables(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv(TUNABLES, raising=False)
    if before is not None:
        monkeypatch.setenv(TUNABLES, before)
    with plain_arithmetic():
        assert os.environ[TUNABLES] == (PLAIN if before is None else f"{before}:{PLAIN}")
    assert os.environ.get(TUNABLES) == before
