"""What every measurement is given: the values of params.yaml, how long to take, where to write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from benchmarks.timing import interleaved, warmed_up
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.filter import FilterParams
from parrot_data.generate import GenerateParams
from parrot_data.shard import ShardParams
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_data.worlds.tabletop.params import TabletopParams
from parrot_models.finetune import FinetuneParams
from parrot_models.train_prior import KeypointParams, TrainPriorParams


@dataclass(frozen=True)
class Values:
    """The sections of params.yaml that figures depend on."""

    environment: EnvironmentParams
    generate: GenerateParams
    filter: FilterParams
    shard: ShardParams
    keypoints: KeypointParams
    train_prior: TrainPriorParams
    finetune: FinetuneParams

    @property
    def tabletop(self) -> TabletopParams:
        """Section `environment`, for what only the tabletop has: the figures are of its scenes.

        Raises:
            UserError: it names another world.
        """
        if not isinstance(self.environment, TabletopParams):
            raise UserError(
                f"environment.name is {self.environment.name}, where the benchmark measures in the "
                "tabletop: name params that do, with --params"
            )
        return self.environment

    @property
    def spec(self) -> EpisodeSpec:
        """Of the tabletop's episodes."""
        return make_world(self.tabletop).spec


@dataclass(frozen=True)
class Scale:
    """How much work goes into a figure.

    Attributes:
        rounds: times that ours and the rival are measured in turn; the median counts.
        round_s: time of one of them in a round, s; at least one call.
        stage_rounds: the same as `rounds`, for whole stages and commands.
        attempts: scripted episodes of a stage of two workers.
        stage_episodes: scripted episodes of a stage of one worker.
        replayed_episodes: scripted episodes whose actions are replayed.
        replay_slots: observations in a replay buffer that updates draw from.
        learning_episodes: episodes of fine-tuning in a round.
        buffer_steps: env steps that the largest replay buffer holds.
        simulated_sizes: episodes to simulate, ascending, to see how the cost grows.
        stored_sizes: episodes to store, check and train on, ascending, for the same.
        tiny_sizes: episodes of a step of a few numbers, ascending, for the same.
        steps_of_growth: training steps at each of those sizes.
        shared_episodes: scripted episodes that a cluster simulates.
        swept_steps: env steps of each run of a sweep.
    """

    rounds: int
    round_s: float
    stage_rounds: int
    attempts: int
    stage_episodes: int
    replayed_episodes: int
    replay_slots: int
    learning_episodes: int
    buffer_steps: int
    simulated_sizes: tuple[int, ...]
    stored_sizes: tuple[int, ...]
    tiny_sizes: tuple[int, ...]
    steps_of_growth: int
    shared_episodes: int
    swept_steps: int


FULL = Scale(
    rounds=7,
    round_s=0.7,
    stage_rounds=3,
    attempts=1000,
    stage_episodes=300,
    replayed_episodes=10,
    replay_slots=10_000,
    learning_episodes=2,
    buffer_steps=100_000,
    simulated_sizes=(50, 100, 200),
    stored_sizes=(1000, 4000, 16_000),
    tiny_sizes=(10_000, 100_000, 1_000_000),
    steps_of_growth=60,
    shared_episodes=2400,
    swept_steps=4800,
)
QUICK = Scale(
    rounds=1,
    round_s=0.0,
    stage_rounds=1,
    attempts=8,
    stage_episodes=6,
    replayed_episodes=2,
    replay_slots=600,
    learning_episodes=1,
    buffer_steps=1000,
    simulated_sizes=(4, 8),
    stored_sizes=(10, 20),
    tiny_sizes=(40, 80),
    steps_of_growth=2,
    shared_episodes=8,
    swept_steps=100,
)


@dataclass(frozen=True)
class Setting:
    """Handed to every measurement.

    Attributes:
        values: what the pipeline would use.
        scale: how much work to do.
        scratch: an empty folder at first, deleted in the end; rows may share what they put there.
        checkout: folder that holds dvc.yaml.
    """

    values: Values
    scale: Scale
    scratch: Path
    checkout: Path

    def cpu_seconds(self, *subjects: Callable[[], object]) -> list[float]:
        """Median CPU time of a call of each, s, after a first one to warm up."""
        calls = [warmed_up(subject, self.scale.round_s, process_time) for subject in subjects]
        return interleaved(subjects, calls, self.scale.rounds, process_time)
