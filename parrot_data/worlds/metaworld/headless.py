"""Lets MuJoCo render without a screen; to be imported before MuJoCo is, which reads this once.

What the user chose is left as it is.
"""

from __future__ import annotations

import os
import sys

if sys.platform == "linux":
    os.environ.setdefault("MUJOCO_GL", "egl")
