"""What a prior learns from a robot's demonstrations serves in that robot's world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from small_shards import write_shards

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import episode_of, episode_seed, roll_out
from parrot_data.streams import generator
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.prior.params import TrainPriorParams
from parrot_models.train_prior import KeypointParams, train_prior
from tests.toy_world import TASKS, ToyWorld

NUM_EPISODES, NUM_SCENES = 60, 20
COUPLINGS = {"num_layers": 4, "hidden": [32], "max_log_scale": 2.0}
PARAMS = TrainPriorParams.model_validate(
    {
        "seed": 0, "source": {"kind": "memmap"},
        "held_out_fraction": 0.1, "augment": [], "observation_noise": 0.0,
        "precision": "fp32", "gradient_clip": 1.0, "log_every": 1000, "checkpoint_every": 1000,
        "encoder": {"kind": "vector"}, "context_dim": 32, "flow": "affine",
        "flows": {
            "affine": COUPLINGS,
            "spline": {**COUPLINGS, "num_bins": 4, "bound": 4.0},
            "matching": {
                "hidden": [64], "num_steps": 4, "draws": 2, "distillation_steps": 100,
                "distillation_learning_rate": 1e-3,
            },
        },
        "steps": 200, "batch_size": 64, "learning_rate": 3e-3,
    }
)  # fmt: skip


def demonstrations(world: ToyWorld) -> list[Episode]:
    demonstrator, episodes = world.demonstrator(), []
    for index in range(NUM_EPISODES):
        task = TASKS[index % 2]
        rng = generator(0, "test", index)
        rollout = roll_out(
            demonstrator.make_env(task), lambda env, r=rng: demonstrator.begin(env, r),
            episode_seed(0, index),
        )  # fmt: skip
        episodes.append(episode_of(rollout, index, task))
    return episodes


def success_rate(world: ToyWorld, select_action: Any) -> float:
    env = world.make_env("reach-far")
    seeds = [episode_seed(1, index) for index in range(NUM_SCENES)]
    return float(np.mean([roll_out(env, lambda _: select_action, s).success for s in seeds]))


@pytest.mark.parametrize(
    ("flow", "action_dim", "is_bounded"),
    [("affine", 1, False), ("affine", 2, True), ("spline", 1, True), ("matching", 3, False)],
)
def test_its_likeliest_actions_do_what_the_data_show(
    tmp_path: Path, flow: str, action_dim: int, is_bounded: bool
) -> None:
    world = ToyWorld(action_dim=action_dim, is_bounded=is_bounded)
    data = write_shards(tmp_path / "shards", demonstrations(world), world.spec)
    params = PARAMS.model_copy(update={"flow": flow})
    none = TypeAdapter(KeypointParams).validate_python({"kind": "none"})
    train_prior(params, none, data, tmp_path / "prior")
    prior = BehavioralPrior.load(tmp_path / "prior")

    @torch.inference_mode()
    def act(observation: dict[str, Any]) -> np.ndarray:
        seen = {name: torch.from_numpy(values)[None] for name, values in observation.items()}
        z = torch.zeros(1, prior.latent_dim)
        return prior.decode(z, prior.encode(seen).context)[0].numpy()

    assert success_rate(world, act) > 0.8
