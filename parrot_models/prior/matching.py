"""How a prior whose flow is matched, not fitted by likelihood, is trained and judged."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from parrot_models.flows.matching import FlowMatching
from parrot_models.networks.chance import torch_generator
from parrot_models.networks.choices import Precision
from parrot_models.networks.precision import layers_in
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.training.transitions import Batch


def matching_loss(
    prior: BehavioralPrior, batch: Batch, draws: int, precision: Precision, rng: np.random.Generator
) -> Tensor:
    """Error of the velocity on a batch, which may lie anywhere; only the encoding is in bfloat16.

    Args:
        prior: whose flow is matched.
        batch: transitions.
        draws: pairs of latent and time for each of them.
        precision: of the encoding.
        rng: of this step alone.
    """
    batch = batch.to(prior.device)
    context = _context(prior, batch, precision)
    actions = prior.action_scale.normalised(batch.actions)
    return matched_flow(prior).loss(actions, context, draws, _noise(rng, prior.device))


def distillation_loss(
    prior: BehavioralPrior, batch: Batch, draws: int, precision: Precision, rng: np.random.Generator
) -> Tensor:
    """Error of the one step on the contexts of a batch; arguments as for `matching_loss`."""
    with torch.no_grad():
        context = _context(prior, batch.to(prior.device), precision)
    return matched_flow(prior).distillation_loss(context, draws, _noise(rng, prior.device))


@torch.inference_mode()
def distillation_metrics(
    prior: BehavioralPrior, batches: Iterable[Batch], seed: int
) -> dict[str, float]:
    """What the ways to act lose: root mean squares over the dimensions of normalised actions.

    `distillation_error` is from one step to the few steps it imitates, `integration_error` from
    the few steps to the fine ones that have the density. Both at latents of N(0, I).
    """
    flow, device = matched_flow(prior), prior.device
    generator = torch_generator(seed, "one step: errors", device=device)
    squares, count = torch.zeros(2, device=device), 0
    for batch in batches:
        here = batch.to(device)
        context = prior.context(here.observations)
        z = torch.randn(len(context), flow.dim, generator=generator, device=device)
        few = flow.integrate(z, context)
        others = (flow.decode(z, context), flow.forward(z, context)[0])
        squares += torch.stack([(few - other).square().sum() for other in others])
        count += few.numel()
    one_step, integration = (squares / count).sqrt().tolist()
    return {"distillation_error": one_step, "integration_error": integration}


def matched_flow(prior: BehavioralPrior) -> FlowMatching:
    """The flow of a prior that was built with flow matching."""
    assert isinstance(prior.flow, FlowMatching)
    return prior.flow


def _context(prior: BehavioralPrior, batch: Batch, precision: Precision) -> Tensor:
    with layers_in(precision, prior.device):
        return prior.context(batch.observations)


def _noise(rng: np.random.Generator, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(int(rng.integers(2**62)))
