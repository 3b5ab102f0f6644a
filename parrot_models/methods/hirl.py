"""HIRL: an agent that chooses options discovered in the demonstrations (PARROT, section 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Dict
from numpy.typing import NDArray
from torch import Tensor

from parrot_models.baselines.keypoints import load_keypoints
from parrot_models.baselines.options_model import OptionModel
from parrot_models.methods.part import ContextSeen, Part
from parrot_models.networks.choices import Precision
from parrot_models.networks.keypoints import Keypoints
from parrot_models.rl.replay import Observation
from parrot_models.rl.views import BoxedLatentView, Latents, Seeing


class Options(Latents, Protocol):
    """Options: policies that are given z and say when they end."""

    def act(self, z: Tensor, context: Tensor) -> Tensor:
        """Actions (B, A) of options z (B, latent_dim) in context (B, C)."""

    def ends(self, z: Tensor, context: Tensor) -> Tensor:
        """Probability (B,) that option z ends here."""


class OptionView(BoxedLatentView):
    """A decision is an option, carried out closed loop until it ends (Sutton et al., 1999).

    An option ends at the median of its length: where the chance that it has not ended yet,
    prod_t (1 - p_t), falls below a half. So the same weights always act the same, and an option
    that ends with a small chance in every step still ends.

    Args:
        model: the options.
        plain, latent_bound, seeing: see `BoxedLatentView`.
    """

    def __init__(self, plain: Dict, model: Options, latent_bound: float, seeing: Seeing) -> None:
        super().__init__(plain, model, latent_bound, seeing)
        self._model = model
        self.fewest_steps = 1  # an option may end by itself

    def begin(self, observations: Observation) -> dict[str, NDArray[Any]]:
        """See `BoxedLatentView`."""
        seen = super().begin(observations)
        self._chance_to_go_on = np.ones(self.num_robots)
        return seen

    def _decide(self, _held: NDArray[np.float32], is_due: NDArray[np.bool_]) -> None:
        self._chance_to_go_on[is_due] = 1.0

    def _act(self, held: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._model.act(self._on_device(held), self._encoding.context).cpu().numpy()

    def _ends(self, held: NDArray[np.float32]) -> NDArray[np.bool_]:
        ends = self._model.ends(self._on_device(held), self._encoding.context)
        self._chance_to_go_on = self._chance_to_go_on * (1.0 - ends.double().cpu().numpy())
        ended: NDArray[np.bool_] = self._chance_to_go_on < 0.5
        return ended


class SeenOptions(ContextSeen):
    """The options, whose low-level policy's context and keypoints are what an agent sees."""

    def __init__(
        self, model: OptionModel, keypoints: Keypoints | None, precision: Precision
    ) -> None:
        super().__init__(model, keypoints, precision)
        self.latent_dim, self.act, self.ends = model.latent_dim, model.act, model.ends


def _load(folder: Path, device: torch.device, precision: Precision) -> SeenOptions:
    keypoints = load_keypoints(folder, "options", device)
    return SeenOptions(OptionModel.load(folder).to(device), keypoints, precision)


OPTIONS = Part(
    "options", "parrot pretrain --method options", _load,
    code=("baselines/keypoints.py", "baselines/options_model.py"),
)  # fmt: skip
