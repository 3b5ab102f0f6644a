"""What a prior and the models of its rivals have in common: how they look at an observation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.section import Section, Width
from parrot_models.networks.action_scale import ActionScale
from parrot_models.networks.encoders import make_encoders, make_pose_head
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.mlp import mlp
from parrot_models.networks.observations import Observations, VectorScale, num_rows
from parrot_models.networks.params import EncoderParams

TRUNK_WIDTH = 256


class ContextArchitecture(Section):
    """All that determines the shapes of the weights that make a context.

    Attributes:
        spec: of the data; shapes, names, bounds, and what special parts need.
        encoder: what looks at the images.
        context_dim: width of the trunk's output.
    """

    spec: EpisodeSpec
    encoder: EncoderParams
    context_dim: Width


class ContextModel(nn.Module):
    """Encoders and a trunk, which make of an observation the context that a model acts on.

    Attributes:
        pose: predicts where the tool is, for foveal encoders that nothing tells; else None.
    """

    def __init__(self, architecture: ContextArchitecture, section: str) -> None:
        """Build them with freshly drawn weights.

        Args:
            architecture: of both.
            section: where in params.yaml a user chose it, for the errors.

        Raises:
            UserError: the encoder needs what the spec lacks; see `make_encoders`.
        """
        super().__init__()
        self.spec = spec = architecture.spec
        encoders = make_encoders(architecture.encoder, spec, section)
        # Prefixed, since a module's own attributes are no names for its children.
        self.encoders = nn.ModuleDict({f"of_{name}": each for name, each in encoders.items()})
        self.pose = make_pose_head(architecture.encoder, spec)
        self.vectors = VectorScale(spec.vectors)
        self.action_scale = ActionScale(spec.action)
        self._is_foveal = any(isinstance(each, FovealEncoder) for each in encoders.values())
        self.own_dim = sum(encoder.feature_dim for encoder in encoders.values())
        width = self.own_dim + self.vectors.output_dim
        self.trunk = mlp(width, [TRUNK_WIDTH], architecture.context_dim, layer_norm=True)

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.parameters()).device

    def encoder_of(self, name: str) -> nn.Module:
        """The encoder of an image."""
        return self.encoders[f"of_{name}"]

    def init_from_data(self, observations: Observations, actions: Tensor) -> None:
        """Take what is to be known of the data before training: means, scales.

        Args:
            observations: some of the data's, (B, ...) by name.
            actions: float32 (B, A), executed there.
        """
        for name in self.spec.images:
            encoder = self.encoder_of(name)
            if isinstance(encoder, FovealEncoder):
                encoder.init_from_data(observations[name])
        self.vectors.init_from_data(observations)
        self.action_scale.init_from_data(actions)

    def context(self, observations: Observations) -> Tensor:
        """Encoded observations, float32 (B, context_dim).

        Args:
            observations: by name (B, ...), all that the spec names.
        """
        return self.context_of(self.own_features(observations), observations)

    def own_features(self, observations: Observations) -> Tensor:
        """Its encoders' features side by side, (B, own_dim); of width 0 without images."""
        told = (self.tool_position(observations),) if self._is_foveal else ()
        features = [self.encoder_of(k)(observations[k], *told) for k in self.spec.images]
        if features:
            return torch.cat(features, -1)
        return torch.empty(num_rows(observations), 0, device=self.device)

    def context_of(self, features: Tensor, observations: Observations) -> Tensor:
        """The context that its own features (B, own_dim) make; else as `context`."""
        context: Tensor = self.trunk(torch.cat([features, *self.vectors(observations)], -1))
        return context.float()

    def tool_position(self, observations: Observations) -> Tensor:
        """Where the tool is, (B, 3) m: as observations tell it, or predicted of their images.

        A prediction has no gradient: what looks there learns nothing of it, nor it of that.

        Raises:
            ValueError: the spec does not say where that is told.
        """
        if self.pose is not None:
            with torch.no_grad():
                return self.pose(observations)  # type: ignore[no-any-return]
        tool = self.spec.tool
        if tool is None:
            raise ValueError("the spec does not say where the tool's position is told")
        first, *_, last = tool.position
        if tool.position == list(range(first, last + 1)):  # a view, where it can be one
            return observations[tool.vector][:, first : last + 1]
        return observations[tool.vector][:, tool.position]
