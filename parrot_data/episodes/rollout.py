"""The one loop that rolls a policy out in an environment, and the record of what came of it.

What an environment may tell beside gymnasium's own:

- `info["is_success"]`, at every step: whether the task is achieved now. The only one that is
  needed, and only where success is asked for.
- `info["failure"]`, of the last step: in a word or two why it is not.
- `info["facts"]`, of the reset: JSON values about the scene, by name.
- `info["privileged"]`, at reset and at every step: arrays that no policy may see, by name, as the
  spec says.
- `info["outcomes"]`, at every step: claims about the episode so far, by name, true or not; of an
  evaluation they become rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import MAX_STEPS, Episode, forms_of
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.streams import seed_sequence

Observation = Mapping[str, NDArray[Any]]
# Gives the action (A,) to execute, from the observation.
SelectAction = Callable[[Observation], NDArray[np.float32]]
# Makes an episode's policy once the environment is reset, so that a script can look at the scene.
BeginPolicy = Callable[[gymnasium.Env[Any, Any]], SelectAction]
OnStep = Callable[[gymnasium.Env[Any, Any]], None]


@dataclass(frozen=True, eq=False)
class Rollout:
    """What happened from a reset to the end of an episode of T steps.

    Attributes:
        observations: T + 1.
        actions: T, as the policy gave them, float32.
        rewards: T.
        infos: T + 1, the reset's first.
        terminated: whether the environment ended it, rather than a limit of steps.
    """

    observations: Sequence[Observation]
    actions: Sequence[NDArray[np.float32]]
    rewards: Sequence[float]
    infos: Sequence[dict[str, Any]]
    terminated: bool

    @property
    def success(self) -> bool:
        """Whether the task was achieved after the last step.

        Raises:
            UserError: the environment does not say.
        """
        return success_of(self.infos[-1])

    @property
    def episode_return(self) -> float:
        """Undiscounted sum of the rewards."""
        return float(sum(self.rewards))


def success_of(info: Mapping[str, Any]) -> bool:
    """Whether the task is achieved now, as an environment tells in a step's info.

    Raises:
        UserError: it does not.
    """
    if "is_success" not in info:
        raise UserError(
            "the environment does not say whether a task is achieved: let its info hold "
            '"is_success", or say in params how success is found'
        )
    return bool(info["is_success"])


def episode_seed(seed: int, index: int) -> int:
    """The seed that an environment is reset with for episode `index` of a seed: 32 bits.

    No more bits, because some simulators take no more: of n episodes of a seed, n^2 / 2^33 pairs
    are of the same scene (one in three runs of 50,000).
    """
    return int(seed_sequence(seed, "episode", index).generate_state(1)[0])


def roll_out(
    env: gymnasium.Env[Any, Any],
    begin: BeginPolicy,
    seed: int,
    on_step: OnStep | None = None,
    max_steps: int = MAX_STEPS,
) -> Rollout:
    """Reset an environment and act in it until the episode terminates or is truncated.

    Args:
        env: any; it must end its episodes, by gymnasium's `TimeLimit`, say.
        begin: makes the policy once the environment is reset.
        seed: that the environment is reset with, see `episode_seed`.
        on_step: called after the reset and after every step, to render, say.
        max_steps: actions after which an episode should have ended.

    Returns:
        Copies throughout: many an environment shows the same arrays again, with other numbers.

    Raises:
        UserError: it has not, or an observation is no dict.
    """
    observation, info = env.reset(seed=seed)
    select_action = begin(env)
    observations, infos = [_copied(observation)], [_copied_info(info)]
    actions: list[NDArray[np.float32]] = []
    rewards: list[float] = []
    terminated = truncated = False
    while not (terminated or truncated):
        if len(actions) >= max_steps:
            raise UserError(
                f"the environment did not end its episode within {max_steps} steps: wrap it in "
                "gymnasium's TimeLimit"
            )
        if on_step is not None:
            on_step(env)
        action = np.array(select_action(observation), dtype=np.float32)
        actions.append(action.copy())
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(_copied(observation))
        rewards.append(float(reward))
        infos.append(_copied_info(info))
    if on_step is not None:
        on_step(env)
    return Rollout(observations, actions, rewards, infos, bool(terminated))


def _copied(observation: object) -> Observation:
    if not isinstance(observation, Mapping):
        raise UserError(
            f"the environment shows a {type(observation).__name__} where a dict of observations by "
            "name is needed: wrap it"
        )
    return {name: np.array(values) for name, values in observation.items()}


def _copied_info(info: Mapping[str, Any]) -> dict[str, Any]:
    privileged = {k: np.array(v) for k, v in info.get("privileged", {}).items()}
    return {**info, "privileged": privileged} if privileged else {**info}


def record(
    env: gymnasium.Env[Any, Any],
    begin: BeginPolicy,
    spec: EpisodeSpec,
    *,
    seed: int,
    index: int,
    task: str,
    max_steps: int,
) -> Episode:
    """Roll a policy out and see that what came of it is as a spec says.

    Args:
        env: as of `roll_out`.
        begin: as of `roll_out`.
        spec: of the dataset.
        seed: that the environment is reset with.
        index: place of the episode in its run.
        task: name of what is done.
        max_steps: as of `roll_out`.

    Raises:
        UserError: the episode is not as the spec says, an array holds what is not finite, it does
            not end, or nobody says whether it is a success.
    """
    where = f"episode {index} of {task}"
    rollout = roll_out(env, begin, seed, max_steps=max_steps)
    for observation in (rollout.observations[0], rollout.observations[-1]):
        spec.check_observation(observation, where)
    try:
        episode = episode_of(rollout, index, task)
        _check(episode, spec)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where} is not as its world's spec says: {error}") from error
    return episode


def episode_of(rollout: Rollout, index: int, task: str) -> Episode:
    """The record of a rollout as episode `index` of its run.

    Raises:
        UserError: the environment does not say whether the task was achieved.
        ValueError: an array is of another shape at one step than at another.
    """
    first, last = rollout.infos[0], rollout.infos[-1]
    privileged = [info.get("privileged", {}) for info in rollout.infos]
    return Episode(
        index=index,
        task=task,
        success=rollout.success,
        failure="" if rollout.success else str(last.get("failure", "")),
        terminated=rollout.terminated,
        facts=first.get("facts", {}),
        observations=_stacked(rollout.observations),
        actions=np.stack(rollout.actions),
        rewards=np.array(rollout.rewards, dtype=np.float32),
        privileged=_stacked(privileged),
    )


def _stacked(steps: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def _check(episode: Episode, spec: EpisodeSpec) -> None:
    """See that an episode is as a spec says; raises ValueError."""
    arrays, forms = episode.arrays(), forms_of(spec)
    if arrays.keys() != forms.keys():
        raise ValueError(
            f"it has {', '.join(sorted(arrays))} where the spec has {', '.join(sorted(forms))}"
        )
    for name, array in arrays.items():
        forms[name].check(name, array.dtype.str, array.shape)
    told = {"actions": episode.actions, "rewards": episode.rewards}
    for name, array in {**told, **episode.observations}.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds what is not a finite number")
    episode.metadata_text()
