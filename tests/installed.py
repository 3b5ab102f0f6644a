"""Parrot as others have it: a wheel in an environment of its own, where no checkout is seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from checkout import LARGE, ROOT

SOURCES = ("cli", "parrot_data", "parrot_models", "benchmarks", "params.yaml", "dvc.yaml",
           "pyproject.toml", "README.md", "LICENSE", "studies/metaworld")  # fmt: skip


class Installed:
    """An environment with Parrot's wheel; all else comes from that of the tests.

    Of the latter only the folder of packages is seen, and not what `.pth` files there add to it:
    an editable install is such a file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "venv"
        wheel = _build(folder)
        _run(sys.executable, "-m", "venv", "--without-pip", str(self.folder))
        (self.packages / "of_the_tests.pth").write_text(sysconfig.get_path("purelib"))
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
        _run(*pip, "--python", str(self.python), "install", "--no-deps", "--ignore-installed",
             "--no-index", str(wheel))  # fmt: skip
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": os.pathsep.join((str(self.python.parent), os.environ["PATH"])),
            "DVC_SITE_CACHE_DIR": str(folder / "site_cache"),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "OMP_NUM_THREADS": "1",
        }

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def call(self, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command there: parrot, dvc, or any on PATH."""
        if command[0] == "dvc":
            command = (str(self.python), "-m", *command)
        if command[0] == "python":
            command = (str(self.python), *command[1:])
        return subprocess.run(
            command, cwd=folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def do(self, folder: Path, *command: str) -> str:
        """The same of what must succeed; gives what was printed."""
        done = self.call(folder, *command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


def _build(folder: Path) -> Path:
    """The wheel of these sources, built in a copy: a build leaves its traces beside them."""
    source = folder / "source"
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", *LARGE)
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    wheels = folder / "wheels"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    _run(
        *pip, "wheel", str(source), "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels)
    )
    (wheel,) = wheels.glob("*.whl")
    return wheel


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
