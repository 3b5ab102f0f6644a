"""What a user may vary about fine-tuning, beside the agent."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from parrot_data.section import (
    Count,
    CountOrNone,
    Section,
    Seed,
    Seeds,
    Share,
    SomeCount,
    check_names,
)
from parrot_models.methods.names import FLOWS, PART_OF_METHOD, PARTS
from parrot_models.rl.params import AgentParams

# A part of a run's path, and of a command
TaskName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]


def _each_once(names: list[str]) -> list[str]:
    check_names(names, names)
    return names


def _known_methods(names: list[str]) -> list[str]:
    check_names(names, PART_OF_METHOD)
    return names


def _known_parts(names: list[str]) -> list[str]:
    check_names(names, PARTS)
    return names


def _known_flows(names: list[str]) -> list[str]:
    check_names(names, FLOWS)
    return names


class FinetuneParams(Section):
    """Section `finetune` of params.yaml.

    Attributes:
        tasks, methods, seeds: the matrix of runs; a run is one of each. Which tasks there are says
            the world.
        parts: of section `pretrain`, what dvc.yaml pre-trains for methods of the matrix.
        flows: the same of `train_prior.flow`, beside the prior's own.
        env_steps: length of a run, rounded up to whole rounds of one episode an environment.
        num_envs: environments that take their steps at the same time, each in a process if they
            are several.
        warmup_steps: env steps of warm-up actions before the first update.
        critic_only_updates: first updates, in which the actor stays as it is.
        batch_size: transitions an update.
        utd: updates per env step after the warm-up.
        final_rate: share of the learning rates left at the end of a run; they fall linearly.
        n_step: steps of reward in a critic's target before it bootstraps.
        discount: of one env step.
        replay_capacity: observations kept; older ones are overwritten.
        checkpoint_every_steps: env steps between checkpoints of a run under way.
        curve_window_episodes: training episodes that a success rate of the curve is a mean of.
        curve_every_episodes: episodes between two rows of the curve.
        explore_share: share of the training episodes of prior_explore that the prior drives.
        demo_episodes: first training episodes of parrot_demo, which the prior drives and which are
            kept.
        video_episodes: evaluation episodes in video.gif; 0 where the world shows no images of
            itself.
        agent: see `AgentParams`.
    """

    tasks: Annotated[list[TaskName], AfterValidator(_each_once)]
    methods: Annotated[list[str], AfterValidator(_known_methods)]
    seeds: Seeds
    parts: Annotated[list[str], AfterValidator(_known_parts)]
    flows: Annotated[list[str], AfterValidator(_known_flows)]
    env_steps: Count
    num_envs: SomeCount
    warmup_steps: Count
    critic_only_updates: CountOrNone
    batch_size: int = Field(ge=1, le=2**20)
    utd: float = Field(ge=0, le=1000)
    final_rate: Share
    n_step: SomeCount
    discount: Share
    replay_capacity: Count = Field(ge=2)
    checkpoint_every_steps: Count
    curve_window_episodes: Count
    curve_every_episodes: Count
    explore_share: Share
    demo_episodes: Count
    video_episodes: CountOrNone
    agent: AgentParams

    @model_validator(mode="after")
    def _check(self) -> FinetuneParams:
        if self.replay_capacity < 2 * self.num_envs:
            raise ValueError(
                f"replay_capacity: {self.num_envs} environments need at least {2 * self.num_envs}"
            )
        made = {"prior", *self.parts, *self.flows}
        for method in self.methods:
            part = PART_OF_METHOD[method]
            if part not in made:
                key = "flows" if part in FLOWS else "parts"
                raise ValueError(f"methods: {method} needs {part!r} among {key}, which lacks it")
        updates = int(self.utd * (self.env_steps - self.warmup_steps))
        if updates <= self.critic_only_updates:
            raise ValueError(
                f"env_steps: {self.env_steps} of them leave {max(0, updates)} updates after "
                f"{self.warmup_steps} warmup_steps at a utd of {self.utd:g}, and the first "
                f"{self.critic_only_updates} are critic_only_updates, so the actor would never "
                "learn: raise env_steps, or lower the others"
            )
        return self


class EvaluateParams(Section):
    """Section `evaluate` of params.yaml.

    Attributes:
        seed: of the evaluation episodes; the same scenes for every agent of a task.
        num_episodes: episodes 0, 1, ... of that seed.
    """

    seed: Seed
    num_episodes: Count
