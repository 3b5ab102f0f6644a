"""Commands that measure this repository need a checkout of it: no wheel has their code."""

from __future__ import annotations

import sys
from pathlib import Path

from parrot_data.errors import UserError

ROOT = Path(__file__).parents[1]


def need_checkout(command: str) -> None:
    """Let `benchmarks` be imported, which lies beside the packages.

    Args:
        command: that needs it.

    Raises:
        UserError: Parrot was installed from a wheel.
    """
    if not (ROOT / "pyproject.toml").is_file() or not (ROOT / "benchmarks").is_dir():
        raise UserError(
            f"`parrot {command}` measures a checkout of Parrot's repository, and this is an "
            "installed package: clone the repository, and run it there after `make install`"
        )
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
