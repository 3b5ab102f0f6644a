"""Acting out options: a random one lasts until it ends, a demonstration's as long as it did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines import option_rollouts
from parrot_models.baselines.option_posterior import Segmentation
from parrot_models.baselines.option_rollouts import random_options_policy, reproduction

EPISODE_STEPS = 25
OBSERVATION = {"image": np.zeros((48, 48, 3), np.uint8), "proprioception": np.zeros(8, np.float32)}


class FakeModel:
    """Acts as z says, ends with a given probability, and encodes actions as themselves."""

    latent_dim = 7

    def __init__(self, end: float = 0.0) -> None:
        self.end = end

    def context(self, images: Tensor, _proprioception: Tensor) -> Tensor:
        return torch.zeros(len(images), 1)

    def act(self, z: Tensor, _context: Tensor) -> Tensor:
        return z

    def ends(self, z: Tensor, _context: Tensor) -> Tensor:
        return torch.full((len(z),), self.end)

    def posterior(self, proprioception: Tensor, actions: Tensor, _generator: Any) -> Segmentation:
        assert proprioception.shape[:2] == actions.shape[:2]
        ones = torch.ones(actions.shape[:2])
        return Segmentation(ones, ones, actions, ones)


def rolled_out(end: float, num_steps: int) -> list[tuple[float, ...]]:
    generator = torch.Generator().manual_seed(0)
    policy = random_options_policy(FakeModel(end), 5, generator)  # type: ignore[arg-type]
    return [tuple(policy(OBSERVATION).tolist()) for _ in range(num_steps)]


def test_an_option_that_does_not_end_lasts_for_an_episode() -> None:
    actions = rolled_out(0.0, 15)
    assert [actions.index(action) for action in actions] == [0] * 5 + [5] * 5 + [10] * 5


def test_an_option_that_ends_makes_way_for_another() -> None:
    assert len(set(rolled_out(1.0, 15))) == 15
    assert 15 / 5 < len(set(rolled_out(0.5, 15))) < 15


@pytest.mark.parametrize("family", ["pick", "place"])
def test_a_demonstration_acted_out_as_it_was_succeeds_again(family: str) -> None:
    """The scene is the demonstration's own: a law without which a share would mean nothing."""
    environment = EnvironmentParams(image_size=48, proprioception=True, episode_steps=EPISODE_STEPS)
    found = reproduction(FakeModel(), environment, family, 7, 3)  # type: ignore[arg-type]
    assert found["demonstration_success_rate"] > 0
    assert found["reproduction_rate"] == 1.0
    assert found["options"] == EPISODE_STEPS


def test_only_demonstrations_that_succeed_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(option_rollouts, "ACTION_NOISE", 5.0)
    environment = EnvironmentParams(image_size=48, proprioception=True, episode_steps=4)
    found = reproduction(FakeModel(), environment, "pick", 7, 2)  # type: ignore[arg-type]
    assert found == {"demonstration_success_rate": 0.0, "reproduction_rate": 0.0, "options": 0.0}
