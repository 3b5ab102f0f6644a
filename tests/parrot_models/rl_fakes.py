"""Small stand-ins with the real interfaces: an env of any spec, a prior with a known f(z; s)."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Dict
from torch import Tensor

from parrot_data.episodes.spec import EpisodeSpec
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.networks.action_scale import ActionScale
from parrot_models.networks.mlp import mlp
from parrot_models.rl.params import AgentParams
from tests.specs import spec_of

EPISODE_STEPS = 5
ONE_IMAGE = spec_of(images={"image": (48, 48)}, vectors={"pose": 8}, action_dim=7)
IMAGE_ALONE = spec_of(images={"image": (48, 48)}, action_dim=7)
VECTOR_ALONE = spec_of(vectors={"pose": 8}, action_dim=1)
TWO_IMAGES = spec_of(
    images={"front": (36, 52), "wrist": (25, 32)}, vectors={"pose": 8, "b": 3}, action_dim=14,
    bounds=None,
)  # fmt: skip
SPECS = {
    "one image": ONE_IMAGE,
    "image alone": IMAGE_ALONE,
    "vector alone": VECTOR_ALONE,
    "two images": TWO_IMAGES,
}
PARAMS = AgentParams(
    observe="features", encoder="fast", encoder_dim=8, latent_bound=2.0, reference_std=0.5,
    last_latent_bound=3.0, candidates=4,
    target_kl_per_dim=1.0, edit_scale=0.2, hold_steps=1, decision_steps=5, hidden=[16],
    learning_rate=1e-3, polyak=0.01, initial_temperature=0.02, target_entropy_per_dim=-1.0,
    observation_noise=0.1, clone_weight=0.1, precision="fp32",
)  # fmt: skip


def space_of(spec: EpisodeSpec) -> Dict:
    boxes = {k: Box(0, 255, s.shape, np.uint8) for k, s in spec.images.items()}
    vectors = {k: Box(-np.inf, np.inf, (dim,), np.float32) for k, dim in spec.vectors.items()}
    return Dict(boxes | vectors)


class PointEnv(gymnasium.Env):
    """A point in [-1, 1]^2, shown as a bright pixel; success is to be near the origin.

    The first dimensions of an action move it. The first two numbers of every vector are its place.
    """

    metadata: ClassVar = {"render_modes": ["rgb_array"]}

    def __init__(self, spec=ONE_IMAGE, *, ends=False):
        self.spec_of_episodes, self._ends = spec, ends
        self.observation_space = space_of(spec)
        self.action_space = Box(-1.0, 1.0, (spec.action.dim,), np.float32)
        self.executed = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._point, self._num_steps = self.np_random.uniform(-1, 1, 2), 0
        self._was_far = False
        return self._observe(), self._info()

    def step(self, action):
        assert action.dtype == np.float32
        assert action.shape == self.action_space.shape
        self.executed.append(action)
        moves = np.pad(action, (0, 1))[:2]
        self._point = (self._point + 0.5 * moves).clip(-1, 1)
        self._num_steps += 1
        info = self._info()
        truncated = self._num_steps == EPISODE_STEPS
        terminated = self._ends and info["is_success"]
        return self._observe(), float(info["is_success"]), terminated, truncated, info

    def render(self):
        return self._image(48, 48)

    def _info(self):
        is_success = bool(np.abs(self._point).max() < 0.3)
        self._was_far |= not is_success
        outcomes = {"wrong_object": self._was_far, "touched": is_success}
        return {"is_success": is_success, "outcomes": outcomes}

    def _image(self, height, width):
        image = np.zeros((height, width, 3), np.uint8)
        row, column = ((self._point + 1) / 2 * (height - 1, width - 1)).astype(int)
        image[row, column] = 255
        return image

    def _observe(self):
        spec = self.spec_of_episodes
        seen: dict[str, Any] = {k: self._image(s.height, s.width) for k, s in spec.images.items()}
        for name, dim in spec.vectors.items():
            seen[name] = np.pad(self._point, (0, dim - 2)).astype(np.float32)
        return seen


def place_of(observations):
    """Where the point is, in [-1, 1]: (B, 2), of the first image, else of the first vector."""
    images = [values for _, values in sorted(observations.items()) if values.dtype == torch.uint8]
    if not images:
        return min(observations.items())[1][:, :2]
    assert images[0].ndim == 4
    _, height, width, _ = images[0].shape
    place = images[0][..., 0].flatten(1).int().argmax(-1)
    sides = torch.tensor([height - 1, width - 1])
    return torch.stack([place // width, place % width], -1) / sides * 2 - 1


@dataclass
class FakeEncoding:
    context: Tensor
    features: Tensor


class FakePrior:
    """Features are the point's place, if there is an image; f(z; s) = tanh(z / 2 + context)."""

    device = torch.device("cpu")

    def __init__(self, spec=ONE_IMAGE):
        self.spec, self.latent_dim = spec, spec.action.dim
        self.num_encoded = 0

    def encode(self, observations):
        assert set(observations) == set(self.spec.observations)
        place = place_of(observations)
        self.num_encoded += len(place)
        context = torch.cat([place, -place, place[:, :1]], -1)
        return FakeEncoding(context, place if self.spec.images else place[:, :0])

    def decode(self, z, context):
        return torch.tanh(z / 2 + pad(context, self.latent_dim))

    def inverse(self, actions, context):
        return 2 * (torch.atanh(actions) - pad(context, self.latent_dim))

    def action_box(self):
        return ActionScale(self.spec.action).box_arrays()


class FakeModel(torch.nn.Module):
    """Something pre-trained whose context is the point's place."""

    latent_dim = 3
    device = torch.device("cpu")

    def __init__(self, spec=ONE_IMAGE):
        super().__init__()
        self.spec, self.action_scale = spec, ActionScale(spec.action)

    def own_features(self, observations):
        return place_of(observations)

    def context_of(self, features, _observations):
        return features

    def context(self, observations):
        return self.context_of(self.own_features(observations), observations)


class FakeKeypoints(torch.nn.Module):
    """One keypoint: the point's place, the other way round, and a strength of 1."""

    def forward(self, observations):
        place = place_of(observations)
        return torch.cat([-place, torch.ones(len(place), 1)], -1)


BESIDE = (FakeKeypoints(), "fp32")  # what an agent sees beside a context, and how exactly


class FakeTrajectories(FakeModel):
    """Step t of trajectory z is tanh((t + 1) z + context)."""

    num_steps = 5

    def decode(self, z, context):
        times = torch.arange(1.0, self.num_steps + 1)
        steps = torch.tanh(times[:, None] * z[:, None] + pad(context, 3)[:, None])
        return pad(steps, self.spec.action.dim)


class FakeOptions(FakeModel):
    """Option z goes to where its first two say, and ends where it is near."""

    def act(self, z, context):
        return pad(torch.tanh(z[:, :2] - context), self.spec.action.dim)

    def ends(self, z, context):
        return ((z[:, :2] - context).abs().amax(-1) < 0.5).float()


class FakeClone(FakeModel):
    """A policy with the real one's head, of drawn weights; without bounds it has odd units."""

    def __init__(self, spec=ONE_IMAGE):
        super().__init__(spec)
        generator = torch.Generator().manual_seed(0)
        self.architecture = SimpleNamespace(hidden=[8])
        self.latent_dim = spec.action.dim
        self.head = mlp(2, [8], 2 * spec.action.dim)
        for parameter in self.head.parameters():
            torch.nn.init.normal_(parameter, generator=generator).requires_grad_(False)
        if not self.action_scale.is_bounded:
            dims = torch.arange(1.0, 1 + spec.action.dim)
            self.action_scale.init_from_data(torch.stack([10 - dims, 10 + dims]))

    gaussian = BehaviorCloning.gaussian
    decode = BehaviorCloning.decode


def pad(values, width):
    """The last dimension filled up with zeros, or cut."""
    return torch.nn.functional.pad(values, (0, width - values.shape[-1]))
