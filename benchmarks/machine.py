"""Where and with what a benchmark ran."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "numpy", "pybullet", "dvc", "stable-baselines3", "nflows", "zuko")
NOT_INSTALLED = "not installed"


def describe_machine() -> dict[str, object]:
    """Processor, memory, load and the versions that figures depend on; nothing that names a host.

    The load is that of the minute before: far above zero, other work was measured along.
    """
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{package: _version_of(package) for package in PACKAGES},
    }


def describe_code(folder: Path) -> dict[str, object]:
    """Commit of the checkout a folder lies in, and whether nothing but results was changed since.

    Both are None where the folder lies in no checkout, or git is missing.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--", ".", ":(exclude)benchmarks/results")
    return {"commit": commit, "is_clean": None if changes is None else changes == ""}


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return NOT_INSTALLED


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
