"""The names of methods, and of what each starts from: here, as params are checked without torch.

A test holds them against the table of methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

# What stage `pretrain` makes, and what `train_prior.flow` makes beside the prior's own.
PARTS = ("bc", "vae", "trajectories", "options")
FLOWS = ("spline", "matching")

PART_OF_METHOD: Mapping[str, str] = MappingProxyType(
    {
        "parrot": "prior",
        "parrot_box": "prior",
        "parrot_executed": "prior",
        "parrot_demo": "prior",
        "parrot_widening": "prior",
        "parrot_best": "prior",
        "parrot_privileged": "prior",
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

# Which actions of the robot an agent can produce: all, as its own are these; those of a box of z,
# as they are or edited; or those of any z. Agents that decide on several steps at once choose no
# single actions, and have no entry.
Reach = Literal["actions", "box", "wider box", "edited box", "latents"]
REACH_OF_METHOD: Mapping[str, Reach] = MappingProxyType(
    {
        "parrot": "latents",
        "parrot_box": "box",
        "parrot_executed": "latents",
        "parrot_demo": "latents",
        "parrot_widening": "wider box",
        "parrot_best": "latents",
        "parrot_privileged": "latents",
        "parrot_edit": "edited box",
        "parrot_spline": "latents",
        "flow_matching": "box",
        "sac": "actions",
        "prior_explore": "actions",
        "bc_sac": "actions",
        "vae_features": "actions",
    }
)
