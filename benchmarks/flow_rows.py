"""The flow alone, on contexts that are given, against the same net in other libraries."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import torch
from torch import Tensor

from benchmarks.priors import training_step
from benchmarks.row import Figures, Row, at_least, at_most_itself
from benchmarks.setting import Setting, Values
from parrot_models.flows.coupling import RealNVP
from parrot_models.networks.choices import Precision
from parrot_models.networks.device import CPU
from parrot_models.networks.precision import products_in
from parrot_models.prior.params import AffineParams

SEED = 0
NUM_FITTED = 200  # training steps after which a density is worth comparing
NUM_COMPARED = 16  # batches of 1024 actions


def sampling_against_nflows(setting: Setting) -> Figures:
    """Samples/s, one at a time."""
    from benchmarks.rivals.nflows_flow import nflows_flow

    rival = nflows_flow(*_shape(setting.values), _affine(setting.values).max_log_scale)
    return _sampling(setting, lambda context: rival.sample(1, context))


def sampling_against_zuko(setting: Setting) -> Figures:
    """Samples/s, one at a time."""
    from benchmarks.rivals.zuko_flow import zuko_flow

    rival = zuko_flow(*_shape(setting.values))
    return _sampling(setting, lambda context: rival(context).sample())


def training(setting: Setting, *, batch_size: int, precision: Precision) -> Figures:
    """Training steps/s, ours in the precision asked for, nflows in float32."""
    from benchmarks.rivals.nflows_flow import nflows_flow

    values = setting.values
    ours, rate = _our_flow(values), values.train_prior.learning_rate
    rival = nflows_flow(*_shape(values), _affine(values).max_log_scale)
    actions, context = _batch(values, batch_size)
    our_step, rival_step = (
        training_step(flow.parameters(), partial(_loss, flow, actions, context), rate)
        for flow in (ours, rival)
    )

    def our_step_in_precision() -> None:
        with products_in(precision, CPU):
            our_step()

    mine, theirs = setting.cpu_seconds(our_step_in_precision, rival_step)
    note = f"{1e3 * mine:.1f} against {1e3 * theirs:.1f} ms a step, optimiser included."
    if precision == "bf16":
        note += " Matrix products of bfloat16 summed in float32, as in the updates of SAC."
    return Figures(1 / mine, 1 / theirs, note)


def density_against_nflows(setting: Setting) -> Figures:
    """Largest difference of log_prob, nats, once our weights are copied into the rival."""
    from benchmarks.rivals.nflows_flow import copy_weights, nflows_flow

    values = setting.values
    ours, (actions, context) = _fitted_flow(values), _batch(values, 1024)
    rival = nflows_flow(*_shape(values), _affine(values).max_log_scale)
    copy_weights(ours, rival)
    with torch.inference_mode():
        difference = ours.log_prob(actions, context) - rival.log_prob(actions, context)
    note = f"The same weights in both, after {NUM_FITTED} training steps; float32, 1024 actions."
    return Figures(float(difference.abs().max()), None, note)


def density_in_bf16(setting: Setting) -> Figures:
    """Difference of the mean log_prob, nats, with products in bfloat16."""
    values, differences = setting.values, []
    flow = _fitted_flow(values)
    for seed in range(NUM_COMPARED):
        actions, context = _batch(values, 1024, seed)
        with torch.inference_mode():
            exact = flow.log_prob(actions, context)
            with products_in("bf16", CPU):
                differences.append(flow.log_prob(actions, context) - exact)
    difference = torch.cat(differences)
    note = (
        "Our bf16 density against our fp32 one: the mean over "
        f"{len(difference)} actions, which is what training maximises. A single action is off by "
        f"{float(difference.std()):.3f} nats (standard deviation)."
    )
    return Figures(abs(float(difference.mean())), None, note)


def _sampling(setting: Setting, sample_of_rival: Callable[[Tensor], Any]) -> Figures:
    ours, generator = _our_flow(setting.values), torch.Generator().manual_seed(SEED)
    context = torch.randn(1, setting.values.train_prior.context_dim, generator=generator)
    with torch.inference_mode():
        mine, theirs = setting.cpu_seconds(
            lambda: ours.sample(context, generator), lambda: sample_of_rival(context)
        )
    note = f"One action a call, no gradients: {1e6 * mine:.0f} against {1e6 * theirs:.0f} us."
    return Figures(1 / mine, 1 / theirs, note)


def _shape(values: Values) -> tuple[int, int, int, list[int]]:
    """Dim, context_dim, num_layers and hidden: what every library understands alike."""
    flow = _affine(values)
    dim, context_dim = values.spec.action.dim, values.train_prior.context_dim
    return dim, context_dim, flow.num_layers, flow.hidden


def _affine(values: Values) -> AffineParams:
    return values.train_prior.flows.affine


def _our_flow(values: Values) -> RealNVP:
    return RealNVP(*_shape(values), _affine(values).max_log_scale)


def _batch(values: Values, batch_size: int, seed: int = SEED) -> tuple[Tensor, Tensor]:
    """Actions that depend on their contexts; both (B, ...)."""
    generator, dim = torch.Generator().manual_seed(seed), values.spec.action.dim
    context = torch.randn(batch_size, values.train_prior.context_dim, generator=generator)
    noise = torch.randn(batch_size, dim, generator=generator)
    return 0.5 * torch.tanh(context[:, :dim]) + 0.1 * noise, context


def _fitted_flow(values: Values) -> RealNVP:
    """A flow far from the identity that it is before training, its normalisation left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        flow = _our_flow(values)
    # nflows' has none, and the weights of both must mean the same.
    trained = [p for name, p in flow.named_parameters() if "norm" not in name]
    step_number = count(SEED + 1)
    step = training_step(
        trained,
        lambda: _loss(flow, *_batch(values, 256, next(step_number))),
        values.train_prior.learning_rate,
    )
    for _ in range(NUM_FITTED):
        step()
    return flow


def _loss(flow: Any, actions: Tensor, context: Tensor) -> Tensor:
    loss: Tensor = -flow.log_prob(actions, context).mean()
    return loss


LEAST_RATIOS: tuple[tuple[Precision, float], ...] = (("fp32", 1.0), ("bf16", 1.5))
ROWS = (
    Row(
        "flow sample, batch 1",
        "nflows",
        "samples/s/core",
        (at_least(2.5),),
        sampling_against_nflows,
    ),
    Row("flow sample, batch 1", "zuko", "samples/s/core", (at_least(4.0),), sampling_against_zuko),
    *(
        Row(
            f"flow training step, batch {batch_size}, {precision}",
            "nflows, fp32",
            "steps/s/core",
            (at_least(least),),
            partial(training, batch_size=batch_size, precision=precision),
        )
        for precision, least in LEAST_RATIOS
        for batch_size in (256, 1024)
    ),
    Row("flow density, fp32", "nflows", "nats", (at_most_itself(1e-3),), density_against_nflows),
    Row("flow density, bf16", "ours in fp32", "nats", (at_most_itself(1e-3),), density_in_bf16),
)
