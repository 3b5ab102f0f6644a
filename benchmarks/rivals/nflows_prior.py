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
from parrot_data.errors import UserError
from parrot_models.networks.observations import Observations
from parrot_models.networks.sight import keypoints_of
from parrot_models.networks.spatial_softmax import SpatialSoftmax
from parrot_models.prior.architecture import AffineArchitecture
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.rl.replay import Observation
from parrot_models.rl.sac import SAC
from parrot_models.rl.views import FEATURES
from parrot_models.training.transitions import Batch


class NflowsPrior(nn.Module):
    """The networks of a prior of ours around a flow of nflows: eager autograd, float32 throughout.

    Weights are copied; what we differentiate by hand is written plainly here.

    Raises:
        UserError: the prior's flow is not of affine couplings.
    """

    def __init__(self, ours: BehavioralPrior) -> None:
        super().__init__()
        a = ours.architecture
        if not isinstance(a.flow, AffineArchitecture):
            raise UserError(
                f"train_prior.flow is {a.flow.kind}, where the benchmark's rival has affine "
                "couplings: set it to affine"
            )
        self.networks = copy.deepcopy(ours)
        del self.networks.flow
        for module in list(self.networks.modules()):
            if isinstance(softmax := getattr(module, "attend", None), SpatialSoftmax):
                module.attend = PlainSpatialSoftmax(softmax)
        if self.networks.keypoints is not None:
            self.networks.keypoints.requires_grad_(False)
        self.flow = nflows_flow(
            ours.latent_dim, a.context_dim, a.flow.num_layers, a.flow.hidden, a.flow.max_log_scale
        )

    def context(self, features: Tensor, observations: Observations) -> Tensor:
        """What the flow is conditioned on, (B, context_dim), of the encoders' features."""
        return self.networks.context_of(features, observations)

    def loss(self, batch: Batch) -> Tensor:
        """Mean of -log p(a | s) over a batch."""
        context = self.context(self.networks.own_features(batch.observations), batch.observations)
        actions = self.networks.action_scale.normalised(batch.actions)
        loss: Tensor = -self.flow.log_prob(actions, context).mean()
        return loss


class NflowsActing:
    """Encode, ask the actor for z, decode: one observation at a time, without gradients."""

    def __init__(self, ours: BehavioralPrior, agent: SAC) -> None:
        """Take copies of the networks of a prior and of an agent that sees its features."""
        self.prior = NflowsPrior(ours).eval()
        self.trunk, self.actor = copy.deepcopy(agent.trunk), copy.deepcopy(agent.actor)
        self.generator = torch.Generator().manual_seed(0)

    @torch.inference_mode()
    def act(self, observation: Observation) -> NDArray[np.float32]:
        """The action (A,) that the robot executes."""
        networks = self.prior.networks
        seen = {name: torch.from_numpy(array)[None] for name, array in observation.items()}
        own = networks.own_features(seen)
        features = torch.cat([keypoints_of(networks.keypoints, seen), own], -1)
        encoded = self.trunk({**seen, FEATURES: features})
        z, _ = self.actor.sample(encoded, self.generator)
        context = self.prior.context(own, seen)
        flow: Any = self.prior.flow
        actions: Tensor = networks.action_scale.restored(flow._transform.inverse(z, context)[0])
        return actions[0].numpy()
