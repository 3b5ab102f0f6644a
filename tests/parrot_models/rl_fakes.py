"""Small stand-ins with the real interfaces: an env of pictures, a prior with a known f(z; s)."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Dict
from torch import Tensor

from parrot_data.worlds.tabletop.tasks import named_task
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.networks.mlp import mlp

EPISODE_STEPS = 5


class PointEnv(gymnasium.Env):
    """A point in [-1, 1]^2, shown as a bright pixel; success is to be near the origin at the end.

    Episode i of seed s is a function of (s, i); actions are 7-D, of which two move the point.
    """

    metadata: ClassVar = {"render_modes": ["rgb_array"]}

    def __init__(self, *, proprioception: bool = True):
        spaces = {"image": Box(0, 255, (48, 48, 3), np.uint8)}
        if proprioception:
            spaces["proprioception"] = Box(-np.inf, np.inf, (8,), np.float32)
        self.observation_space = Dict(spaces)
        self.action_space = Box(-1.0, 1.0, (7,), np.float32)
        self.executed = []
        self._seed, self._index = 0, -1

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self._seed, self._index = seed, -1
        self._index = (options or {}).get("episode_index", self._index + 1)
        rng = np.random.default_rng([self._seed, self._index])
        self._point, self._num_steps = rng.uniform(-1, 1, 2), 0
        return self._observe(), self._info()

    def step(self, action):
        assert action.dtype == np.float32
        assert action.shape == (7,)
        self.executed.append(action)
        self._point = (self._point + 0.5 * action[:2]).clip(-1, 1)
        self._num_steps += 1
        info = self._info()
        truncated = self._num_steps == EPISODE_STEPS
        return self._observe(), float(info["is_success"]), False, truncated, info

    def render(self):
        return self._observe()["image"]

    def _info(self):
        success = bool(np.abs(self._point).max() < 0.3)
        grasped = "target" if success else "other"
        return {"is_success": success, "task": "point", "grasped": grasped}

    def _observe(self):
        image = np.zeros((48, 48, 3), np.uint8)
        row, column = ((self._point + 1) * 23.5).astype(int)
        image[row, column] = 255
        proprioception = np.zeros(8, np.float32)
        proprioception[:2] = self._point
        seen = {"image": image, "proprioception": proprioception}
        return {key: seen[key] for key in self.observation_space.spaces}


@dataclass
class FakeEncoding:
    context: Tensor
    features: Tensor


class FakePrior:
    """Features are the brightest pixel's place; f(z; s) = tanh(z / 2 + context)."""

    latent_dim = 7
    feature_dim = 2
    device = torch.device("cpu")

    def __init__(self):
        self.num_encoded = 0

    def save(self, folder, environment, data_manifest_sha256):
        folder.mkdir()
        params = {"environment": environment.model_dump()}
        config = {"params": params, "data_manifest_sha256": data_manifest_sha256}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "prior.safetensors").write_bytes(b"weights")

    @classmethod
    def load(cls, _folder):
        return cls()

    def to(self, device):
        self.device = device
        return self

    def encode(self, images, proprioception):
        assert images.dtype == torch.uint8
        self.num_encoded += len(images)
        features = place_of(images)
        context = torch.cat([features, -features, features[:, :1]], -1)
        return FakeEncoding(context, features)

    def decode(self, z, context):
        shift = torch.nn.functional.pad(context, (0, 7 - context.shape[-1]))
        return torch.tanh(z / 2 + shift)


def place_of(images):
    """Row and column of the brightest pixel, in [-1, 1]: (B, 2)."""
    place = images[..., 0].flatten(1).argmax(-1)
    return torch.stack([place // 48, place % 48], -1) / 23.5 - 1


class FakeModel(torch.nn.Module):
    """Something pre-trained whose context is the brightest pixel's place."""

    latent_dim = 3
    device = torch.device("cpu")
    encoder = None

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1), requires_grad=False)

    @classmethod
    def load(cls, _folder):
        return cls()

    def own_features(self, images, _proprioception=None):
        return place_of(images)

    def context_of(self, features, _proprioception):
        return features

    def context(self, images, proprioception=None):
        return self.context_of(self.own_features(images), proprioception)


class FakeKeypoints(FakeModel):
    """One keypoint: the brightest pixel's place, the other way round, and a strength of 1."""

    def forward(self, images):
        return torch.cat([-place_of(images), torch.ones(len(images), 1)], -1)


BESIDE = (FakeKeypoints(), "fp32")  # what an agent sees beside a context, and how exactly


def load_fake_keypoints(_folder, _method):
    return FakeKeypoints()


class FakeVAE(FakeModel):
    def features(self, images):
        return 2 * place_of(images)


class FakeTrajectories(FakeModel):
    """Step t of trajectory z is tanh((t + 1) z + context)."""

    num_steps = 5

    def decode(self, z, context):
        times = torch.arange(1.0, self.num_steps + 1)
        steps = torch.tanh(times[:, None] * z[:, None] + pad(context, 3)[:, None])
        return pad(steps, 7)


class FakeOptions(FakeModel):
    """Option z goes to where its first two say, and ends where it is near."""

    def act(self, z, context):
        return pad(torch.tanh(z[:, :2] - context), 7)

    def ends(self, z, context):
        return ((z[:, :2] - context).abs().amax(-1) < 0.5).float()


class FakeClone(FakeModel):
    """A policy with the real one's head, of drawn weights."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.architecture = SimpleNamespace(hidden=[8])
        self.head = mlp(2, [8], 14)
        for parameter in self.head.parameters():
            torch.nn.init.normal_(parameter, generator=generator).requires_grad_(False)

    gaussian = BehaviorCloning.gaussian


def pad(values, width):
    """The last dimension filled up with zeros."""
    return torch.nn.functional.pad(values, (0, width - values.shape[-1]))


def make_point_env(name, environment, render_mode="rgb_array"):
    """Stands for `make_task_env`, in other processes too, who know no fake task."""
    if multiprocessing.parent_process() is None:
        named_task(name)
    return PointEnv(proprioception=environment.proprioception)
