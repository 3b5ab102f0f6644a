"""The paper's world, whose tasks gymnasium knows once this is imported."""

from __future__ import annotations

import gymnasium

from parrot_data.worlds.tabletop.tasks import FAMILIES, TASKS, gymnasium_id

_ENTRY_POINT = "parrot_data.worlds.tabletop.registered:make_registered_env"

for _family in FAMILIES:
    gymnasium.register(gymnasium_id(_family), _ENTRY_POINT, kwargs={"family": _family})
for _task in TASKS:
    gymnasium.register(gymnasium_id(_task), _ENTRY_POINT, kwargs={"task": _task})
