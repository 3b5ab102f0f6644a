"""Data for behavioral priors: simulation, scripted episodes, stores."""

from __future__ import annotations

import gymnasium

for _task in ("Pick-v0", "Place-v0", "Drawer-v0"):
    gymnasium.register(
        id=f"parrot/{_task}", entry_point="parrot_data.envs.registered:make_registered_env",
        kwargs={"family": _task.split("-")[0].lower()},
    )  # fmt: skip
