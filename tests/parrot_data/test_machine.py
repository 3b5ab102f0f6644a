"""What a container leaves of the machine counts, in either version of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from parrot_data.errors import UserError
from parrot_data.machine import available_cores, available_memory, check_memory

PINNED = available_cores(Path("/nowhere"), Path("/nowhere"))


def groups(root: Path, files: dict[str, str], own: str = "0::/\n") -> tuple[Path, Path]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "own").write_text(own)
    return root, root / "own"


@pytest.mark.parametrize(
    ("files", "own"),
    [
        ({"cpu.max": "100000 100000\n"}, "0::/\n"),
        ({"cpu.max": "50000 100000\n"}, "0::/\n"),  # half a core is one
        ({"a/cpu.max": "100000 100000\n", "a/b/cpu.max": "max 100000\n"}, "0::/a/b\n"),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, "1:cpu:/\n"),
        (
            {"cpu/x/cpu.cfs_quota_us": "199999\n", "cpu/x/cpu.cfs_period_us": "100000\n"},
            "3:memory:/y\n2:cpu,cpuacct:/x\n",
        ),
    ],
)
def test_a_quota_leaves_one_core(tmp_path: Path, files: dict[str, str], own: str) -> None:
    assert available_cores(*groups(tmp_path, files, own)) == 1


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000\n"},
        {"cpu.max": "nonsense\n"},
        {"cpu.max": "99900000 100000\n"},
        {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
    ],
)
def test_without_a_quota_every_core_is_there(tmp_path: Path, files: dict[str, str]) -> None:
    assert available_cores(*groups(tmp_path, files)) == PINNED


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_containers_memory_counts(tmp_path: Path, name: str) -> None:
    assert available_memory(*groups(tmp_path, {name: "1000000\n"})) == 1_000_000
    assert available_memory(*groups(tmp_path, {name: "max\n"})) > 1_000_000


def test_what_would_not_fit_names_key_and_bytes() -> None:
    check_memory("finetune.replay_capacity", 10, 1000, 1000)
    with pytest.raises(UserError, match=r"finetune\.replay_capacity of 10 .* 1,001 bytes"):
        check_memory("finetune.replay_capacity", 10, 1001, 1000)
