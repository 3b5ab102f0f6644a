"""Arithmetic that is the same on every x86-64 processor.

The C library has sine, arc tangent and the like twice: with fused multiply-adds, for processors
that have them, and without. One result in a thousand then differs in its last bit; Bullet takes
hundreds of them for a step, and the next contact makes another episode of it: 55 of 300 scripted
ones. To round what enters the simulator does not help (58 of 300), for Bullet turns joints and
bodies inside its own step. So the C library is told not to use them, and none of 300 differs. That
costs no time that can be measured.

What is left: the GNU C library reads its tunables when a process starts, so only processes that
start in `plain_arithmetic` compute like this; another C library, another release of it with other
formulas, or another family of processors may still give other bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TUNABLES = "GLIBC_TUNABLES"
# Under the names of today and, with _Usable, of releases before 2.33; unknown ones are ignored.
FUSED = tuple(name + usable for name in ("AVX2", "FMA", "FMA4") for usable in ("", "_Usable"))
PLAIN = f"glibc.cpu.hwcaps={','.join(f'-{name}' for name in FUSED)}"


@contextmanager
def plain_arithmetic() -> Iterator[None]:
    """Processes that start meanwhile compute without fused multiply-adds; this one as it did."""
    before = os.environ.get(TUNABLES)
    os.environ[TUNABLES] = f"{before}:{PLAIN}" if before else PLAIN
    try:
        yield
    finally:
        if before is None:
            del os.environ[TUNABLES]
        else:
            os.environ[TUNABLES] = before


def is_plain() -> bool:
    """Whether this process has computed like this from its start on."""
    try:  # what it was started with: what was set since then, the C library has not read
        started_with = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:  # of Linux alone
        return PLAIN in os.environ.get(TUNABLES, "")
    return any(v.startswith(f"{TUNABLES}=".encode()) and PLAIN.encode() in v for v in started_with)
