"""What an agent remembers: its own steps, and episodes that half of each batch is drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from parrot_data.episodes.episode import Episode
from parrot_data.machine import check_memory
from parrot_models.methods.demonstrations import num_slots, remember
from parrot_models.methods.params import FinetuneParams
from parrot_models.methods.part import Trained
from parrot_models.methods.table import Method, critic_action_dim
from parrot_models.rl.replay import DemoReplay, ReplayBuffer
from parrot_models.rl.views import DirectView


def make_memory(
    params: FinetuneParams,
    method: Method[Any],
    view: DirectView,
    part: Trained,
    max_steps: int,
    shown: Sequence[Episode] = (),
) -> ReplayBuffer | DemoReplay:
    """A memory for what an agent meets behind a view, in episodes of so many steps at most.

    Args:
        params: how the agent learns.
        method: its own.
        view: its own; begins anew with each demonstration.
        part: what the method was pre-trained as.
        max_steps: see above.
        shown: demonstrations, which it then holds: half of each batch will be drawn from them.

    Raises:
        UserError: it would not fit into memory, or an action of a demonstration has no finite z.
    """
    space, num_lanes, capacity = view.observation_space, params.num_envs, params.replay_capacity
    action_dim = critic_action_dim(method, view, part)
    make = partial(
        ReplayBuffer,
        observation_space=space,
        action_dim=action_dim,
        n_step=params.n_step,
        discount=params.discount,
    )
    a_slot = ReplayBuffer.bytes_a_slot(space, action_dim)
    check_memory("finetune.replay_capacity", capacity, capacity * a_slot)
    if shown:
        num_shown = num_slots(shown)
        check_memory("--demonstrations", num_shown, (capacity + num_shown) * a_slot)
        kept = make(num_shown)
        remember(shown, view, kept, stores_executed=method.executed is not None)
        return DemoReplay(make(capacity, num_lanes=num_lanes), kept, 0, num_lanes)
    make = partial(make, num_lanes=num_lanes)
    if not method.keeps_demonstrations:
        return make(capacity)
    num_kept = num_lanes * -(-params.demo_episodes // num_lanes) * (max_steps + 1)
    check_memory("finetune.demo_episodes", params.demo_episodes, (capacity + num_kept) * a_slot)
    return DemoReplay(make(capacity), make(num_kept), params.demo_episodes, num_lanes)
