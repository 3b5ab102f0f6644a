"""Flows of coupling layers: conditional, normalised, their layers affine (RealNVP)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from parrot_models.networks.precision import in_float32

# Below this a dimension counts as constant; dividing by less would let its density run away.
MIN_STD = 1e-3


class ActNorm(nn.Module):
    """A learned affine map of each dimension: x -> x * exp(log_scale) + shift."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift (B, dim), toward the data; `log_scale.sum()` is the log_det."""
        return torch.addcmul(self.shift, x, self.log_scale.exp())

    def inverse(self, y: Tensor) -> Tensor:
        """Undo `forward`: normalise (B, dim); `-log_scale.sum()` is the log_det."""
        return (y - self.shift) * torch.exp(-self.log_scale)

    @torch.no_grad()
    def init_from_data(self, y: Tensor) -> None:
        """Choose shift and scale such that `inverse(y)` has zero mean and unit deviation."""
        self.shift.copy_(y.mean(0))
        self.log_scale.copy_(y.std(0, correction=0).clamp_min(MIN_STD).log())


class AffineCoupling(nn.Module):
    """Moves one half of a vector by an affine map that the other half and the context choose.

    The half with mask 1, `kept` (B, kept_dim), stays unchanged; the other becomes
    `moved * exp(log_scale) + shift`, (B, moved_dim). The conditioner is a fully connected network
    on (kept, context). Its first layer splits in two: the context's part arrives ready made as
    `context_term` (B, hidden[0]), because a flow computes it for all its layers in one product.

    Activation normalisation lives inside: its shift is the bias of the conditioner's last layer,
    its scale is `norm_log_scale`, which stands outside of the bound `max_log_scale`.

    Args:
        kept_dim, moved_dim: widths of the halves.
        hidden: widths of the conditioner's hidden layers, at least one.
        max_log_scale: bound on the log_scale that the conditioner may choose.
        num_more: outputs of the conditioner beyond shift and log_scale, for another kind of layer.
    """

    def __init__(
        self,
        kept_dim: int,
        moved_dim: int,
        hidden: Sequence[int],
        max_log_scale: float,
        num_more: int = 0,
    ) -> None:
        super().__init__()
        self.moved_dim = moved_dim
        self.max_log_scale = max_log_scale
        self.kept_weight = nn.Parameter(torch.empty(kept_dim, hidden[0]))
        self.layers = nn.ModuleList(
            nn.Linear(width, next_width)
            for width, next_width in pairwise([*hidden, 2 * moved_dim + num_more])
        )
        # Zero weights make the untrained layer the identity: training starts from the plain base.
        self._last.weight.data.zero_()
        self._last.bias.data.zero_()
        self.norm_log_scale = nn.Parameter(torch.zeros(moved_dim))

    @property
    def _last(self) -> nn.Linear:
        return cast(nn.Linear, self.layers[-1])

    def outputs(self, kept: Tensor, context_term: Tensor) -> Tensor:
        """All that the conditioner chooses, (B, 2 * moved_dim + num_more)."""
        x = torch.addmm(context_term, kept, self.kept_weight)
        # Not layer(x): at batch 1 calling modules costs half as much as the products themselves.
        last = self._last
        for layer in cast("Iterable[nn.Linear]", self.layers):
            if layer is not last:
                x = functional.linear(x.relu_(), layer.weight, layer.bias)
        return in_float32(functional.linear, x.relu_(), last.weight, last.bias)

    def affine_of(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and log_scale, each (B, moved_dim), of outputs (B, 2 * moved_dim)."""
        shift, raw = outputs.chunk(2, -1)
        return shift, torch.add(self.norm_log_scale, raw.tanh(), alpha=self.max_log_scale)

    def conditioner(self, kept: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and log_scale, each (B, moved_dim)."""
        return self.affine_of(self.outputs(kept, context_term))

    def forward(self, kept: Tensor, moved: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Map `moved` toward the data; return it with the log_scale, whose sum is the log_det."""
        shift, log_scale = self.conditioner(kept, context_term)
        return torch.addcmul(shift, moved, log_scale.exp()), log_scale

    def inverse(self, kept: Tensor, moved: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`: map `moved` toward the base; minus the log_scale's sum is the log_det."""
        shift, log_scale = self.conditioner(kept, context_term)
        return (moved - shift) * torch.exp(-log_scale), log_scale

    @torch.no_grad()
    def init_from_data(self, kept: Tensor, moved: Tensor, context_term: Tensor) -> None:
        """Make the inverse of `moved` have zero mean and unit deviation over this batch."""
        shift, log_scale = self.conditioner(kept, context_term)
        weights = torch.exp(-log_scale)
        centre = ((moved - shift) * weights).sum(0) / weights.sum(0)
        self._last.bias[: self.moved_dim] += centre
        residual = (moved - shift - centre) * weights
        self.norm_log_scale.add_(residual.std(0, correction=0).clamp_min(MIN_STD).log())


MakeCoupling = Callable[[int, int], AffineCoupling]


class CouplingFlow(nn.Module):
    """An invertible map between latents z and actions a, both (B, dim), chosen by a context.

    log p(a | s) = log p_z(f^-1(a; s)) + log |det d f^-1 / d a| with a standard normal p_z
    (Singh et al. 2021, equation 1; coupling layers of Dinh et al. 2017).

    Even and odd dimensions form the two halves. Layer i moves the odd ones where i is even (its
    mask is 1, unchanged, on the even ones), and the even ones where i is odd; the halves stay
    apart from the first layer to the last, so that no layer splits or joins tensors. Of an action
    of one dimension the odd half is empty: every layer moves the other, as the context alone says.

    Args:
        dim: number of action dimensions, even or odd.
        context_dim: width of the context.
        num_layers: coupling layers, at least 2, so that every dimension is moved.
        context_term_dim: width of the context term of a layer, its first hidden width.
        make_coupling: makes a layer from the widths of its kept and its moved half.

    Raises:
        ValueError: dim is less than 1, or num_layers less than 2.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        num_layers: int,
        context_term_dim: int,
        make_coupling: MakeCoupling,
    ) -> None:
        super().__init__()
        if dim < 1 or num_layers < 2:
            raise ValueError(f"a flow needs dim >= 1 and num_layers >= 2, got {dim}, {num_layers}")
        self.dim = dim
        self.context_dim = context_dim
        num_even, num_odd = widths = (dim + 1) // 2, dim // 2
        # Which half each layer keeps, the even (0) or the odd one; the other is moved.
        self.kept_halves = [layer % 2 if num_odd else 1 for layer in range(num_layers)]
        self.context_weight = nn.Parameter(torch.empty(context_dim, num_layers * context_term_dim))
        self.context_bias = nn.Parameter(torch.empty(num_layers * context_term_dim))
        self.couplings = nn.ModuleList(
            make_coupling(widths[kept], widths[1 - kept]) for kept in self.kept_halves
        )
        self.data_norm = ActNorm(dim)
        # Where each dimension stands once the even half and the odd half are joined.
        places = [i // 2 + (num_even if i % 2 else 0) for i in range(dim)]
        self.places: Tensor
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self._init_first_layers()

    def _init_first_layers(self) -> None:
        """Draw the parts of the first layers as if each were one layer on (kept, context)."""
        for coupling in self._layers():
            bound = 1.0 / math.sqrt(coupling.kept_weight.shape[0] + self.context_dim)
            nn.init.uniform_(coupling.kept_weight, -bound, bound)
        bound = 1.0 / math.sqrt(self.dim / 2 + self.context_dim)
        nn.init.uniform_(self.context_weight, -bound, bound)
        nn.init.uniform_(self.context_bias, -bound, bound)

    def _layers(self) -> list[AffineCoupling]:
        return cast("list[AffineCoupling]", list(self.couplings))

    def _context_terms(self, context: Tensor) -> tuple[Tensor, ...]:
        """Each layer's context term, (B, context_term_dim), from one matrix product."""
        terms = torch.addmm(self.context_bias, context, self.context_weight)
        return terms.chunk(len(self.couplings), -1)

    def _backwards(self, context: Tensor) -> Iterator[tuple[int, AffineCoupling, Tensor]]:
        """The layers from the data to the base: the half each keeps, it, its context term."""
        terms = self._context_terms(context)
        return zip(
            reversed(self.kept_halves), reversed(self._layers()), reversed(terms), strict=True
        )

    def _join(self, even: Tensor, odd: Tensor) -> Tensor:
        return torch.cat((even, odd), -1).index_select(-1, self.places)

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """Map z (B, dim) and context (B, context_dim) to actions (B, dim), without a log_det."""
        return self._forward(z, context)[0]

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map z (B, dim) to actions (B, dim); log_det (B,) is log |det da / dz|."""
        actions, log_scales = self._forward(z, context)
        return actions, torch.cat(log_scales, -1).sum(-1) + self.data_norm.log_scale.sum()

    def _forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, list[Tensor]]:
        halves, terms, log_scales = [z[:, ::2], z[:, 1::2]], self._context_terms(context), []
        for kept, coupling, term in zip(self.kept_halves, self._layers(), terms, strict=True):
            halves[1 - kept], log_scale = coupling.forward(halves[kept], halves[1 - kept], term)
            log_scales.append(log_scale)
        return self.data_norm.forward(self._join(*halves)), log_scales

    def inverse(self, actions: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map actions (B, dim) back to z (B, dim); log_det (B,) is log |det dz / da|."""
        normal = self.data_norm.inverse(actions)
        halves = [normal[:, ::2], normal[:, 1::2]]
        log_scales = []
        for kept, coupling, term in self._backwards(context):
            halves[1 - kept], log_scale = coupling.inverse(halves[kept], halves[1 - kept], term)
            log_scales.append(log_scale)
        log_det = -torch.cat(log_scales, -1).sum(-1) - self.data_norm.log_scale.sum()
        return self._join(*halves), log_det

    def log_prob(self, actions: Tensor, context: Tensor) -> Tensor:
        """Log-density of actions (B, dim) given the context: (B,), in nats, summed over dim."""
        z, log_det = self.inverse(actions, context)
        return log_det - 0.5 * z.square().sum(-1) - 0.5 * self.dim * math.log(2.0 * math.pi)

    def sample(self, context: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one action for each context: (B, context_dim) -> (B, dim)."""
        z = torch.randn(
            context.shape[0],
            self.dim,
            generator=generator,
            dtype=context.dtype,
            device=context.device,
        )
        return self.decode(z, context)

    @torch.no_grad()
    def init_from_data(self, actions: Tensor, context: Tensor) -> None:
        """Set all activation normalisation so that these actions' z have zero mean, unit deviation.

        Walks the inverse direction layer by layer, each layer seeing the data as the layers
        before it, already initialised, leave them.
        """
        self.data_norm.init_from_data(actions)
        normal = self.data_norm.inverse(actions)
        halves = [normal[:, ::2], normal[:, 1::2]]
        for kept, coupling, term in self._backwards(context):
            coupling.init_from_data(halves[kept], halves[1 - kept], term)
            halves[1 - kept] = coupling.inverse(halves[kept], halves[1 - kept], term)[0]


class RealNVP(CouplingFlow):
    """A flow of affine couplings (Dinh et al. 2017), the one of the paper.

    Of an action of one dimension it is a Gaussian whose mean and deviation the context chooses.

    Args:
        dim, context_dim, num_layers: see `CouplingFlow`.
        hidden: widths of each conditioner's hidden layers, at least one.
        max_log_scale: bound on the log_scale that a conditioner may choose.

    Raises:
        ValueError: dim is less than 1, num_layers less than 2, or hidden is empty.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        num_layers: int,
        hidden: Sequence[int],
        max_log_scale: float,
    ) -> None:
        if not hidden:
            raise ValueError("a flow needs hidden layers")
        make = partial(AffineCoupling, hidden=hidden, max_log_scale=max_log_scale)
        super().__init__(dim, context_dim, num_layers, hidden[0], make)
