"""What all flows made of coupling layers share; they differ in the layer alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from parrot_models.flows.act_norm import ActNorm
from parrot_models.flows.coupling import AffineCoupling

MakeCoupling = Callable[[int, int], AffineCoupling]


class CouplingFlow(nn.Module):
    """An invertible map between latents z and actions a, both (B, dim), chosen by a context.

    log p(a | s) = log p_z(f^-1(a; s)) + log |det d f^-1 / d a| with a standard normal p_z
    (Singh et al. 2021, equation 1; coupling layers of Dinh et al. 2017).

    Even and odd dimensions form the two halves. Layer i moves the odd ones where i is even (its
    mask is 1, unchanged, on the even ones), and the even ones where i is odd; the halves stay
    apart from the first layer to the last, so that no layer splits or joins tensors.

    Args:
        dim: number of action dimensions, at least 2, even or odd.
        context_dim: width of the context.
        num_layers: coupling layers, at least 2, so that every dimension is moved.
        context_term_dim: width of the context term of a layer, its first hidden width.
        make_coupling: makes a layer from the widths of its kept and its moved half.

    Raises:
        ValueError: dim or num_layers is less than 2.
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
        if dim < 2 or num_layers < 2:
            raise ValueError(f"a flow needs dim >= 2 and num_layers >= 2, got {dim}, {num_layers}")
        self.dim = dim
        self.context_dim = context_dim
        num_even, num_odd = (dim + 1) // 2, dim // 2
        self.context_weight = nn.Parameter(torch.empty(context_dim, num_layers * context_term_dim))
        self.context_bias = nn.Parameter(torch.empty(num_layers * context_term_dim))
        self.couplings = nn.ModuleList(
            make_coupling(num_odd, num_even) if layer % 2 else make_coupling(num_even, num_odd)
            for layer in range(num_layers)
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
        kept, moved = z[:, ::2], z[:, 1::2]
        log_scales = []
        for coupling, term in zip(self._layers(), self._context_terms(context), strict=True):
            moved, log_scale = coupling.forward(kept, moved, term)
            log_scales.append(log_scale)
            kept, moved = moved, kept
        even, odd = (moved, kept) if len(self.couplings) % 2 else (kept, moved)
        return self.data_norm.forward(self._join(even, odd)), log_scales

    def inverse(self, actions: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map actions (B, dim) back to z (B, dim); log_det (B,) is log |det dz / da|."""
        normal = self.data_norm.inverse(actions)
        halves = [normal[:, ::2], normal[:, 1::2]]
        terms = self._context_terms(context)
        log_scales = []
        for layer, coupling in reversed(list(enumerate(self._layers()))):
            kept, moved = halves[layer % 2], halves[1 - layer % 2]
            moved, log_scale = coupling.inverse(kept, moved, terms[layer])
            halves[1 - layer % 2] = moved
            log_scales.append(log_scale)
        log_det = -torch.cat(log_scales, -1).sum(-1) - self.data_norm.log_scale.sum()
        return self._join(halves[0], halves[1]), log_det

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
        terms = self._context_terms(context)
        for layer, coupling in reversed(list(enumerate(self._layers()))):
            kept, moved = halves[layer % 2], halves[1 - layer % 2]
            coupling.init_from_data(kept, moved, terms[layer])
            halves[1 - layer % 2] = coupling.inverse(kept, moved, terms[layer])[0]
