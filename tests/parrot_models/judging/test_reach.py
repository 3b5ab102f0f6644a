"""Which actions agents can produce: more of them in a larger box, all of them without one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from rl_fakes import PARAMS, space_of
from small_priors import small_prior

from parrot_data.episodes.spec import EpisodeSpec
from parrot_models.judging.params import ReachParams
from parrot_models.judging.reach import Limits, is_reached, limits_of
from parrot_models.methods.names import REACH_OF_METHOD
from parrot_models.methods.table import METHODS
from parrot_models.networks.device import CPU
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.rl.full_control import EditedLatentView, UnboundedLatentView
from parrot_models.rl.views import BoxedLatentView, DirectView, LatentView
from tests.parrot_models.small_parts import save_part
from tests.specs import SPECS, some_observations

NUM = 60
BOUNDS = (0.25, 0.5, 1.0, 2.0, 4.0, math.inf)


def seen(spec: EpisodeSpec, flow: str) -> tuple[BehavioralPrior, torch.Tensor]:
    """A prior, and contexts of it."""
    prior = small_prior(spec, flow)
    with torch.inference_mode():
        return prior, prior.context(some_observations(spec, NUM))


def drawn(prior: BehavioralPrior) -> torch.Tensor:
    low, high = prior.action_scale.box()
    draws = np.random.default_rng(0).uniform(low, high, (NUM, len(low)))
    return torch.from_numpy(draws.astype(np.float32))


@pytest.mark.parametrize("flow", ["affine", "spline"])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_larger_box_reaches_what_a_smaller_one_does_and_none_at_all_everything(
    spec: EpisodeSpec, flow: str
) -> None:
    prior, context = seen(spec, flow)
    reached = is_reached(prior, drawn(prior), context, [Limits(b, 0.0) for b in BOUNDS])
    assert reached[-1].all()
    assert (reached[:-1] <= reached[1:]).all()
    assert reached[0].mean() < 1.0, "of the smallest box something is out of reach"


@pytest.mark.parametrize("bound", [0.5, 1.0])
def test_what_is_in_reach_is_what_f_makes_of_the_box(bound: float) -> None:
    prior, context = seen(SPECS["one image"], "affine")
    z = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (NUM, prior.latent_dim))).float()
    z /= z.abs().amax(-1, keepdim=True)
    for scale, is_inside in ((0.99, True), (1.01, False)):
        with torch.inference_mode():
            actions = prior.decode(scale * bound * z, context)
        assert (is_reached(prior, actions, context, [Limits(bound, 0.0)]) == is_inside).all()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_an_edit_reaches_more_and_a_large_one_everything(spec: EpisodeSpec) -> None:
    prior, context = seen(spec, "affine")
    limits = [Limits(0.5, edit) for edit in (0.0, 0.1, 0.5, 1e6)]
    reached = is_reached(prior, drawn(prior), context, limits)
    assert (reached[:-1] <= reached[1:]).all()
    assert reached[-1].all()


def test_an_action_without_a_finite_latent_is_out_of_reach() -> None:
    prior, context = seen(SPECS["one image"], "affine")
    actions = torch.full((NUM, prior.latent_dim), math.inf)
    assert not is_reached(prior, actions, context, [Limits(1.0, 0.0), Limits(math.inf, 0.0)]).any()


def test_every_box_is_asked_with_and_without_edits() -> None:
    params = ReachParams(latent_bounds=[1.0, 2.0], edit_scales=[0.25])
    assert limits_of(params) == [(1, 0), (1, 0.25), (2, 0), (2, 0.25), (math.inf, 0)]


def kind_of(view: DirectView) -> str | None:
    if isinstance(view, LatentView) and view.action_space.high[0] == PARAMS.last_latent_bound:
        return "wider box"
    kinds = {EditedLatentView: "edited box", UnboundedLatentView: "latents", LatentView: "box"}
    for kind, name in kinds.items():
        if isinstance(view, kind):
            return name
    return None if isinstance(view, BoxedLatentView) else "actions"


@pytest.mark.parametrize("name", METHODS)
def test_what_is_said_of_a_methods_reach_is_what_its_view_lets_it_say(
    name: str, tmp_path: Path
) -> None:
    spec, method = SPECS["one image"], METHODS[name]
    part = method.part.load(save_part(method.part.name, spec, tmp_path / "part"), CPU, "fp32")
    view = method.make_view(space_of(spec), part, PARAMS)
    assert REACH_OF_METHOD.get(name) == kind_of(view)
