"""What a user may vary about fine-tuning, beside the agent."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from parrot_data.errors import UserError
from parrot_models.rl.agent_params import AgentParams
from parrot_models.rl.schedule import Schedule


class FinetuneParams(BaseModel):
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

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    tasks: list[str]
    methods: list[str]
    seeds: list[str]
    parts: list[str]
    flows: list[str]
    env_steps: int = Field(ge=1)
    num_envs: int = Field(ge=1)
    warmup_steps: int = Field(ge=1)
    critic_only_updates: int = Field(ge=0)
    batch_size: int = Field(ge=1)
    utd: float = Field(ge=0)
    final_rate: float = Field(ge=0, le=1)
    n_step: int = Field(ge=1)
    discount: float = Field(ge=0, le=1)
    replay_capacity: int = Field(ge=2)
    checkpoint_every_steps: int = Field(ge=1)
    curve_window_episodes: int = Field(ge=1)
    curve_every_episodes: int = Field(ge=1)
    explore_share: float = Field(ge=0, le=1)
    demo_episodes: int = Field(ge=1)
    video_episodes: int = Field(ge=1)
    agent: AgentParams

    @field_validator("replay_capacity")
    @classmethod
    def _has_room_for_all(cls, capacity: int, info: ValidationInfo) -> int:
        num_envs = info.data.get("num_envs", 1)
        if capacity < 2 * num_envs:
            raise ValueError(f"{num_envs} environments need at least {2 * num_envs}")
        return capacity


def check_actor_learns(params: FinetuneParams, schedule: Schedule, episode_steps: int) -> None:
    """Refuse a run that would end before the first update of its actor.

    Args:
        params: of the run.
        schedule: that these params make.
        episode_steps: of an episode, at most.

    Raises:
        UserError: naming the keys whose values leave no update for it.
    """
    a_round = params.num_envs * episode_steps
    last_step = -(-params.env_steps // a_round) * a_round
    num_updates = schedule.updates_by(last_step)
    if num_updates <= params.critic_only_updates:
        raise UserError(
            f"finetune.env_steps = {params.env_steps} ends before the actor learns: after "
            f"warmup_steps = {params.warmup_steps}, utd = {params.utd:g} makes {num_updates} "
            f"updates, and the first critic_only_updates = {params.critic_only_updates} leave the "
            "actor as it is; raise env_steps, or lower these"
        )
