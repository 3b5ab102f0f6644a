"""What policies do in scenes: rates over episodes, and demonstrations repeated where they were."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import (
    BeginPolicy,
    Observation,
    OnStep,
    Rollout,
    SelectAction,
    episode_of,
    episode_seed,
    roll_out,
)
from parrot_data.errors import UserError
from parrot_data.streams import generator
from parrot_data.worlds.world import Demonstrator, Env, World
from parrot_models.judging.policies import Policy
from parrot_models.networks.finite import check_actions

MAX_TRIES = 10  # episodes simulated for one demonstration that succeeds


def families_of(world: World, wanted: Sequence[str], section: str) -> list[str]:
    """Families of unseen scenes to act in: those wanted, or all that the world has.

    Args:
        world: that has them.
        wanted: by name; empty for all.
        section: of params.yaml that names them, for errors.

    Raises:
        UserError: the world has no such family, or none at all.
    """
    unknown = sorted(set(wanted) - set(world.families))
    if world.families and unknown:
        raise UserError(
            f"{section}.families: {unknown[0]!r} is none of the world's families of unseen scenes "
            f"({', '.join(world.families)}): name some of these, or set it to []"
        )
    if not world.families:
        raise UserError(
            f"{section} needs scenes that no data show, and the world in section environment has "
            "no families of them: give it some, or name another world"
        )
    return list(wanted or world.families)


def rolled_out(
    world: World, env: Env, begin: BeginPolicy, seed: int, on_step: OnStep | None = None
) -> Rollout:
    """Roll a policy out, and see that the environment keeps to the spec of its world.

    Args:
        world: whose environment it is.
        env: as of `roll_out`, for the other arguments too.
        begin: see there.
        seed: see there.
        on_step: see there.

    Raises:
        UserError: an observation is not as the spec says, an action is not finite, or the episode
            does not end.
    """

    def begin_checked(env: Env) -> SelectAction:
        select_action = begin(env)

        def select_checked(observation: Observation) -> NDArray[np.float32]:
            world.spec.check_observation(observation, "the world in section environment")
            action = select_action(observation)
            check_actions(action, "in a rollout")
            return action

        return select_checked

    return roll_out(env, begin_checked, seed, on_step, world.max_steps)


def rates(world: World, env: Env, policy: Policy, seed: int, num_episodes: int) -> dict[str, float]:
    """Roll a policy out in episodes 0 to `num_episodes` of a seed.

    Returns:
        success_rate, and NAME_rate of every outcome that the environment tells of: shares of the
        episodes in which it was so.
    """

    def episode(index: int) -> Rollout:
        rng = generator(seed, "judge: policy", index)
        return rolled_out(world, env, lambda env: policy(env, rng), episode_seed(seed, index))

    return rates_of([outcomes(episode(index)) for index in range(num_episodes)])


def rates_of(episodes: list[dict[str, bool]]) -> dict[str, float]:
    """Rates of what `outcomes` tells of several episodes."""
    names = dict.fromkeys(name for episode in episodes for name in episode)
    return {
        f"{name}_rate": float(np.mean([episode.get(name, False) for episode in episodes]))
        for name in names
    }


def outcomes(rollout: Rollout) -> dict[str, bool]:
    """What happened in an episode: whether it ended in success, then the environment's own."""
    told: Mapping[str, Any] = rollout.infos[-1].get("outcomes", {})
    return {"success": rollout.success} | {
        name: bool(value) for name, value in told.items() if name != "success"
    }


def mean_over(by_family: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Means over families of the rates that all of them have, and the families' own."""
    several = list(by_family.values())
    names = [name for name in several[0] if all(name in rates for rates in several)]
    means = {name: float(np.mean([rates[name] for rates in several])) for name in names}
    return {**means, "families": {name: dict(rates) for name, rates in by_family.items()}}


def reproduction(
    world: World,
    env: Env,
    demonstrator: Demonstrator,
    seed: int,
    num_demonstrations: int,
    repeat: Callable[[Episode], SelectAction],
    rate: str,
) -> dict[str, float]:
    """Repeat demonstrations that succeeded, each in the very scene that it came from.

    Args:
        world: that the scenes are of.
        env: of unseen scenes.
        demonstrator: whose script is repeated.
        seed: of the scenes, and of the scripts in them.
        num_demonstrations: successful ones; fewer where most scripts fail.
        repeat: the policy that repeats a demonstration, for one episode.
        rate: name of the share that succeeds again.

    Returns:
        The rate, if any demonstration succeeded; the number of those; demonstration_success_rate,
        the share of scenes in which the script did.
    """
    reproduced: list[bool] = []
    for num_scenes in range(1, MAX_TRIES * num_demonstrations + 1):
        demonstration = _demonstration(world, env, demonstrator, seed, num_scenes - 1)
        if demonstration.success:
            policy = repeat(demonstration)
            reproduced.append(_again(world, env, policy, episode_seed(seed, demonstration.index)))
        if len(reproduced) == num_demonstrations:
            break
    found = {
        "num_demonstrations": float(len(reproduced)),
        "demonstration_success_rate": len(reproduced) / num_scenes,
    }
    return {rate: float(np.mean(reproduced)), **found} if reproduced else found


def demonstrations(
    world: World, env: Env, demonstrator: Demonstrator, seed: int, num_demonstrations: int
) -> list[Episode]:
    """The successful demonstrations that `reproduction` would repeat, for its arguments."""
    found: list[Episode] = []
    for index in range(MAX_TRIES * num_demonstrations):
        demonstration = _demonstration(world, env, demonstrator, seed, index)
        if demonstration.success:
            found.append(demonstration)
        if len(found) == num_demonstrations:
            break
    return found


def _demonstration(
    world: World, env: Env, demonstrator: Demonstrator, seed: int, index: int
) -> Episode:
    rng = generator(seed, "judge: script", index)
    rollout = rolled_out(
        world, env, lambda env: demonstrator.begin(env, rng), episode_seed(seed, index)
    )
    return episode_of(rollout, index, "demonstration")


def _again(world: World, env: Env, policy: SelectAction, seed: int) -> bool:
    return rolled_out(world, env, lambda _env: policy, seed).success
