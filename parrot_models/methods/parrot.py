"""The parts that are behavioral priors, of any flow."""

from __future__ import annotations

from pathlib import Path

import torch

from parrot_models.methods.part import Part
from parrot_models.networks.choices import Precision
from parrot_models.prior.acting_prior import ActingPrior
from parrot_models.prior.behavioral_prior import BehavioralPrior

CODE = ("flows", "prior/acting_prior.py", "prior/architecture.py", "prior/behavioral_prior.py")


def _load(folder: Path, device: torch.device, precision: Precision) -> ActingPrior:
    return ActingPrior(BehavioralPrior.load(folder).to(device), precision)


PRIOR = Part("prior", "parrot train-prior", _load, CODE)
SPLINE = Part("spline", "parrot train-prior --set train_prior.flow=spline", _load, CODE)
MATCHING = Part("matching", "parrot train-prior --set train_prior.flow=matching", _load, CODE)
