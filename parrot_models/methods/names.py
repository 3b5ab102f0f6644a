"""The names of methods, and of what each starts from: here, as params are checked without torch.

A test holds them against the table of methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# What stage `pretrain` makes, and what `train_prior.flow` makes beside the prior's own.
PARTS = ("bc", "vae", "trajectories", "options")
FLOWS = ("spline", "matching")

PART_OF_METHOD: Mapping[str, str] = MappingProxyType(
    {
        "parrot": "prior",
        "parrot_executed": "prior",
        "parrot_demo": "prior",
        "parrot_kl": "prior",
        "parrot_edit": "prior",
        "parrot_spline": "spline",
        "flow_matching": "matching",
        "sac": "prior",
        "prior_explore": "prior",
        "bc_sac": "bc",
        "vae_features": "vae",
        "traj_rl": "trajectories",
        "hirl": "options",
    }
)
