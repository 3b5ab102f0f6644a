"""What a user may vary about fine-tuning, beside the agent."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from parrot_data.section import Count, NotNegative, Section, Seed, Share
from parrot_models.rl.agent_params import AgentParams


class FinetuneParams(Section):
    """Section `finetune` of params.yaml.

    Attributes:
        tasks, methods, seeds: the matrix of runs; a run is one of each.
        parts: of section `pretrain`, what dvc.yaml pre-trains for methods of the matrix.
        flows: the same of `train_prior.flow`, beside the prior's own.
        env_steps: length of a run, rounded up to whole rounds of one episode an environment.
        num_envs: environments that are lived in at the same time, each in a process if they are
            several.
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
        video_episodes: evaluation episodes in video.gif.
        agent: see `AgentParams`.
    """

    tasks: list[str]
    methods: list[str]
    seeds: list[str]
    parts: list[str]
    flows: list[str]
    env_steps: Count
    num_envs: Count
    warmup_steps: Count
    critic_only_updates: Count = Field(ge=0)
    batch_size: Count
    utd: NotNegative
    final_rate: Share
    n_step: Count
    discount: Share
    replay_capacity: Count = Field(ge=2)
    checkpoint_every_steps: Count
    curve_window_episodes: Count
    curve_every_episodes: Count
    explore_share: Share
    demo_episodes: Count
    video_episodes: Count
    agent: AgentParams

    @field_validator("replay_capacity")
    @classmethod
    def _has_room_for_all(cls, capacity: int, info: ValidationInfo) -> int:
        num_envs = info.data.get("num_envs", 1)
        if capacity < 2 * num_envs:
            raise ValueError(f"{num_envs} environments need at least {2 * num_envs}")
        return capacity


class EvaluateParams(Section):
    """Section `evaluate` of params.yaml.

    Attributes:
        seed: of the evaluation episodes; the same scenes for every agent of a task.
        num_episodes: episodes 0, 1, ... of that seed.
    """

    seed: Seed
    num_episodes: Count
