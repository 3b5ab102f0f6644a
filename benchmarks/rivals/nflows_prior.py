"""A prior as one would write it first: torch modules called one by one, and nflows."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.rivals.nflows_flow import nflows_flow
from benchmarks.rivals.plain_softmax import PlainSpatialSoftmax
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.image_encoder import ImageEncoder
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.rl.batch import Observation
from parrot_models.rl.sac import SAC
from parrot_models.training.transitions import Batch


class NflowsPrior(nn.Module):
    """The networks of a prior of ours around a flow of nflows: eager autograd, float32 throughout.

    Weights are copied; what we differentiate by hand is written plainly here.
    """

    def __init__(self, ours: BehavioralPrior) -> None:
        super().__init__()
        a = ours.architecture
        self.encoder = copy.deepcopy(ours.encoder)
        self.trunk = copy.deepcopy(ours.trunk)
        self.keypoints = copy.deepcopy(ours.keypoints).requires_grad_(False)
        self.flow = nflows_flow(
            ours.latent_dim, a.context_dim, a.num_layers, a.hidden, a.max_log_scale
        )
        self.has_proprioception = a.proprioception
        for encoder in (self.keypoints, self.encoder):
            if not isinstance(encoder, ImageEncoder):
                encoder.add_module("attend", PlainSpatialSoftmax(encoder.attend))

    def features(self, images: Tensor, proprioception: Tensor) -> Tensor:
        """What the flow's own encoder makes of pictures, (B, feature_dim)."""
        is_foveal = isinstance(self.encoder, FovealEncoder)
        features: Tensor = (
            self.encoder(images, proprioception) if is_foveal else self.encoder(images)
        )
        return features

    def context(self, features: Tensor, proprioception: Tensor) -> Tensor:
        """What the flow is conditioned on, (B, context_dim)."""
        parts = [features, proprioception] if self.has_proprioception else [features]
        context: Tensor = self.trunk(torch.cat(parts, -1))
        return context

    def loss(self, batch: Batch) -> Tensor:
        """Mean of -log p(a | s) over a batch."""
        features = self.features(batch.images, batch.proprioception)
        context = self.context(features, batch.proprioception)
        loss: Tensor = -self.flow.log_prob(batch.actions, context).mean()
        return loss


class NflowsActing:
    """Encode, ask the actor for z, decode: one observation at a time, without gradients."""

    def __init__(self, ours: BehavioralPrior, agent: SAC) -> None:
        """Take copies of the networks of a prior and of an agent that sees its features."""
        self.prior = NflowsPrior(ours).eval()
        self.num_seen = ours.feature_dim
        self.trunk, self.actor = copy.deepcopy(agent.trunk), copy.deepcopy(agent.actor)
        self.generator = torch.Generator().manual_seed(0)

    @torch.inference_mode()
    def act(self, observation: Observation) -> NDArray[np.float32]:
        """The action (7,) that the robot executes."""
        images = torch.from_numpy(observation["image"])[None]
        proprioception = torch.from_numpy(observation["proprioception"])[None]
        own = self.prior.features(images, proprioception)
        seen = torch.cat([self.prior.keypoints(images), own], -1)[:, : self.num_seen]
        encoded = self.trunk({"features": seen, "proprioception": proprioception})
        z, _ = self.actor.sample(encoded, self.generator)
        context = self.prior.context(own, proprioception)
        flow: Any = self.prior.flow
        actions: Tensor = flow._transform.inverse(z, context)[0]
        return actions[0].numpy()
