"""Recorded trajectories as episodes: every one held against what an episode must be.

Whatever the format, an array passes here and nowhere else: its length, its keys, its kind and its
numbers. What does not fit is refused by episode and name; what is changed or lost is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from parrot_data.episodes.episode import MAX_STEPS, Episode
from parrot_data.episodes.spec import (
    MAX_DIM,
    MAX_SIDE,
    ActionSpec,
    EpisodeSpec,
    ImageSpec,
    ObservationSpec,
    VectorSpec,
)
from parrot_data.errors import UserError
from parrot_data.exchange.format import Holds
from parrot_data.exchange.recording import Recording, Trajectory, listed, shown
from parrot_data.exchange.success import SuccessRule

MAX_TASK = 100  # letters of its name
Arrays = Mapping[str, NDArray[Any]]


class Fit:
    """Makes a recording's episodes, and learns their spec from the first of them.

    Args:
        recording: as its format opened it.
        task: name of what was done; None for what the recording calls it.
        rule: which episodes count as successes.
        bounds: least and greatest number of every dimension of the action, where the recording
            does not say them; None where there are none.

    Attributes:
        tasks: of the episodes so far.
    """

    def __init__(
        self,
        recording: Recording,
        task: str | None,
        rule: SuccessRule,
        bounds: tuple[float, float] | None,
    ) -> None:
        self._recording, self._task, self._rule = recording, task, rule
        self._bounds_of_each = bounds
        self.tasks: set[str] = set()
        self._notes = dict.fromkeys(recording.notes)  # in order, each once
        self._names: dict[str, str] = {}  # by the key in the file
        self._spec: EpisodeSpec | None = None
        self._spread: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}

    @property
    def spec(self) -> EpisodeSpec:
        """Of the episodes; known from the first one on."""
        if self._spec is None:
            raise RuntimeError("no episode was read yet")
        return self._spec

    def notes(self) -> list[str]:
        """Sentences on what was changed, lost or looks odd; whole after the last episode."""
        constant = []
        for name, (low, high) in self._spread.items():
            same = np.flatnonzero(low == high).tolist()
            if same:
                which = "is" if len(low) == 1 else f"has the dimensions {same}, which are"
                constant.append(f"the {name} {which} the same at every step of every episode")
        return [*self._notes, *constant]

    def episodes(self) -> Iterator[Episode]:
        """Every trajectory as an episode, in order, one in memory at a time.

        Raises:
            UserError: one does not fit; the sentence names it and what in it.
        """
        for index, trajectory in enumerate(self._recording.trajectories):
            where = f"{self._recording.path}: episode {shown(trajectory.name)}"
            yield self._episode(index, trajectory, where)

    def _episode(self, index: int, trajectory: Trajectory, where: str) -> Episode:
        num_steps = self._num_steps(trajectory, where)
        whole = self._with_last(trajectory, where, num_steps)
        num_kept = min(num_steps, *(len(rows) - 1 for rows in whole.values()))
        if num_kept < 1:
            raise UserError(
                f"{where} is of one action without an observation after it: drop the episode."
            )
        if num_kept < num_steps:
            self._note(
                "no observation follows the last action of an episode: that action is dropped"
            )
        actions = self._numbers(trajectory.actions[:num_kept], where, "actions")
        if self._spec is None:
            self._spec = self._spec_of(whole, actions, where)
        self._check_keys(whole, where)
        self._check_bounds(actions, where)
        observations = {}
        for key, rows in sorted(whole.items()):
            name = self._names[key]
            observations[name] = self._fitted(name, rows[: num_kept + 1], where, key)
        rewards = self._rewards(trajectory.rewards, num_steps, where)
        self._spread_over("action", actions)
        return Episode(
            index=index,
            task=self._task_of(trajectory, where),
            success=self._rule.holds(trajectory, num_kept, where),
            failure="",
            terminated=trajectory.terminated and num_kept == num_steps,
            observations=observations,
            actions=actions,
            rewards=rewards[:num_kept],
            facts={"source": shown(trajectory.name)},
        )

    def _task_of(self, trajectory: Trajectory, where: str) -> str:
        task = trajectory.task or self._recording.task if self._task is None else self._task
        if not task or len(task) > MAX_TASK or not task.isprintable():
            said = where if self._task is None else f"--task {shown(task)}"
            raise UserError(
                f"{said} names no task by 1 to {MAX_TASK} letters that can be printed: give one "
                "with --task NAME."
            )
        self.tasks.add(task)
        return task

    def _num_steps(self, trajectory: Trajectory, where: str) -> int:
        actions = trajectory.actions
        if actions.ndim != 2:
            raise UserError(
                f"{where}: its actions are of shape {actions.shape}, where (steps, dimensions) is "
                "needed: reshape them."
            )
        if not len(actions):
            raise UserError(f"{where} is empty: it has no action; drop the episode.")
        if len(actions) > MAX_STEPS:
            raise UserError(f"{where} has {len(actions)} steps, {MAX_STEPS} at most: cut it.")
        if not trajectory.observations:
            raise UserError(f"{where} has no observations: record at least one array of them.")
        return len(actions)

    def _with_last(self, trajectory: Trajectory, where: str, num_steps: int) -> Arrays:
        """The observations, with the one after the last action where the file has it."""
        following = trajectory.next_observations
        if following is not None and following.keys() != trajectory.observations.keys():
            raise UserError(
                f"{where} has the observations {listed(sorted(trajectory.observations))}, but "
                f"after each action {listed(sorted(following))}: make them agree."
            )
        whole = {}
        for key, rows in trajectory.observations.items():
            after = None if following is None else following[key]
            lengths = [len(each) if each.ndim else 0 for each in (rows, after) if each is not None]
            is_whole = lengths == [num_steps + 1]
            if not is_whole and set(lengths) != {num_steps}:
                raise UserError(
                    f"{where}: {shown(key)} has {' and '.join(map(str, lengths))} rows for "
                    f"{num_steps} actions: make their lengths agree, one more at most."
                )
            if after is not None and after.shape[1:] != rows.shape[1:]:
                raise UserError(
                    f"{where}: {shown(key)} is of shape {rows.shape[1:]}, but after each action of "
                    f"{after.shape[1:]}: make them agree."
                )
            whole[key] = rows if after is None else np.concatenate([rows, after[-1:]])
        return whole

    def _spec_of(self, whole: Arrays, actions: NDArray[np.float32], where: str) -> EpisodeSpec:
        for key in sorted(whole):
            self._names[key] = self._name_of(key, where)
        low, high = self._recording.bounds or (None, None)
        if self._bounds_of_each is not None:
            low, high = ([bound] * actions.shape[1] for bound in self._bounds_of_each)
        if low is not None and len(low) != actions.shape[1]:
            raise UserError(
                f"{where}: its actions have {actions.shape[1]} dimensions, and its action space "
                f"{len(low)} bounds: make them agree."
            )
        try:
            return EpisodeSpec(
                observations={
                    self._names[key]: self._kind_of(rows, where, key)
                    for key, rows in sorted(whole.items())
                },
                action=ActionSpec(dim=actions.shape[1], low=low, high=high),
                control_rate_hz=self._recording.control_rate_hz,
                cameras={},
                tool=None,
                mirror=None,
                privileged={},
            )
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise UserError(f"{where} cannot be described ({reason}): change the file.") from error

    def _name_of(self, key: str, where: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_]", "_", key)
        name = name if name[:1].isalpha() else f"o{name}"
        for other, taken in self._names.items():
            if taken.lower() == name.lower():
                raise UserError(
                    f"{where}: the observations {shown(other)} and {shown(key)} would both be "
                    f"called {name}: rename one."
                )
        if name != key:
            self._note(f"the observation {shown(key)} is called {name}")
        return name

    def _kind_of(self, rows: NDArray[Any], where: str, key: str) -> ObservationSpec:
        """What an array is: images of bytes, or vectors; nothing else, and nothing by a guess."""
        what, shape = f"{where}: the observation {shown(key)}", rows.shape[1:]
        if rows.ndim == 4:
            if rows.dtype != np.uint8 or shape[2] != 3:
                raise UserError(
                    f"{what} is {rows.dtype} {shape}, where an image is uint8 (height, width, 3): "
                    "convert it, or leave it out of the file."
                )
            if not all(1 <= side <= MAX_SIDE for side in shape[:2]):
                raise UserError(f"{what} is {shape}, {MAX_SIDE} pixels a side at most: resize it.")
            return ImageSpec(height=shape[0], width=shape[1])
        if rows.ndim not in (1, 2):
            raise UserError(
                f"{what} is {rows.dtype} {shape}, neither a vector nor an image (height, width, "
                "3): reshape it, or leave it out of the file."
            )
        if rows.ndim == 1:
            self._note(f"the observation {shown(key)}, a number a step, is a vector of one")
        dim = shape[0] if shape else 1
        if not 1 <= dim <= MAX_DIM:
            raise UserError(f"{what} has {dim} numbers, 1 to {MAX_DIM} are known: leave it out.")
        return VectorSpec(dim=dim)

    def _fitted(
        self, name: str, rows: NDArray[Any], where: str, key: str
    ) -> NDArray[np.uint8] | NDArray[np.float32]:
        wanted = self.spec.observations[name]
        if self._kind_of(rows, where, key) != wanted:
            raise UserError(
                f"{where}: the observation {shown(key)} is {rows.dtype} {rows.shape[1:]}, in the "
                f"episodes before it {wanted.shape}: make them agree."
            )
        if isinstance(wanted, ImageSpec):
            return np.ascontiguousarray(rows)
        numbers = self._numbers(rows.reshape(len(rows), wanted.dim), where, key)
        self._spread_over(f"observation {shown(key)}", numbers)
        return numbers

    def _numbers(self, rows: NDArray[Any], where: str, key: str) -> NDArray[np.float32]:
        """Numbers as float32, all finite."""
        if rows.dtype != np.float32:
            self._note(f"{shown(key)}: {rows.dtype} is rounded to float32")
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(rows, dtype=np.float32)
        bad = np.argwhere(~np.isfinite(numbers))
        if len(bad):
            step, *dimension = bad[0].tolist()
            at = f" in dimension {dimension[0]}" if dimension else ""
            raise UserError(
                f"{where}: its {shown(key)} hold a number that is not finite (step {step}{at}): "
                "drop the episode, or mend what recorded it."
            )
        return numbers

    def _rewards(
        self, rewards: NDArray[Any] | None, num_steps: int, where: str
    ) -> NDArray[np.float32]:
        if rewards is None:
            self._note("there are no rewards: each is 0")
            return np.zeros(num_steps, dtype=np.float32)
        if rewards.shape not in ((num_steps,), (num_steps, 1)):
            raise UserError(
                f"{where} has rewards of shape {rewards.shape} for {num_steps} actions: make "
                "their lengths agree."
            )
        return self._numbers(rewards.reshape(num_steps), where, "rewards")

    def _check_keys(self, whole: Arrays, where: str) -> None:
        if whole.keys() != self._names.keys():
            raise UserError(
                f"{where} has the observations {listed(sorted(whole))}, the episodes before it "
                f"{listed(sorted(self._names))}: make them agree."
            )

    def _check_bounds(self, actions: NDArray[np.float32], where: str) -> None:
        action = self.spec.action
        if actions.shape[1] != action.dim:
            raise UserError(
                f"{where}: its actions have {actions.shape[1]} dimensions, in the episodes before "
                f"it {action.dim}: make them agree."
            )
        if action.low is None or action.high is None:
            return
        low, high = np.array(action.low, np.float32), np.array(action.high, np.float32)
        beyond = np.argwhere((actions < low) | (actions > high))
        if len(beyond):
            step, dimension = beyond[0].tolist()
            raise UserError(
                f"{where}: its actions are beyond their bounds (step {step}, dimension "
                f"{dimension}: {actions[step, dimension]:g} is not in [{low[dimension]:g}, "
                f"{high[dimension]:g}]): rescale or clip them in the file."
            )

    def _spread_over(self, name: str, rows: NDArray[np.float32]) -> None:
        low, high = rows.min(axis=0), rows.max(axis=0)
        if name in self._spread:
            low = np.minimum(low, self._spread[name][0])
            high = np.maximum(high, self._spread[name][1])
        self._spread[name] = (low, high)

    def _note(self, sentence: str) -> None:
        self._notes[sentence] = None


def held_arrays(trajectory: Trajectory, spec: EpisodeSpec, holds: Holds) -> dict[str, NDArray[Any]]:
    """What a trajectory that was exported holds, by the names of `Episode.arrays`.

    Where a format has rows of T + 1 observations, the last of its actions and rewards are nobody's.
    Rows that contradict each other are left out, and observations of other names stay as they are:
    neither is what was exported.
    """
    seen, after = dict(trajectory.observations), dict(trajectory.next_observations or {})
    if len(seen) == len(spec.observations) == 1:  # some formats have no name for it
        seen = dict(zip(spec.observations, seen.values(), strict=True))
        after = dict(zip(spec.observations, after.values(), strict=False))
    found = {"actions": trajectory.actions}
    if trajectory.rewards is not None:
        found["rewards"] = trajectory.rewards
    is_padded = holds.observations == "all" and not after
    if is_padded and all(len(rows) == len(trajectory.actions) for rows in seen.values()):
        found = {name: rows[:-1] for name, rows in found.items()}
    for name, rows in seen.items():
        following = after.get(name)
        if following is None or name not in spec.observations:
            found[f"observation.{name}"] = rows
        elif following.dtype == rows.dtype and np.array_equal(following[:-1], rows[1:]):
            found[f"observation.{name}"] = np.concatenate([rows, following[-1:]])
    return found
