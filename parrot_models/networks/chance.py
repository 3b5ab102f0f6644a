"""Torch's side of the named streams of random numbers: see `parrot_data.streams`."""

from __future__ import annotations

import torch

from parrot_data.streams import seed_sequence
from parrot_models.networks.device import CPU


def torch_seed(seed: int, name: str, *indices: int) -> int:
    """The number that a torch generator of a stream begins with, below 2^63."""
    words = seed_sequence(seed, name, *indices).generate_state(2)
    return int(words[0]) << 31 | int(words[1]) >> 1


def torch_generator(
    seed: int, name: str, *indices: int, device: torch.device = CPU
) -> torch.Generator:
    """A stream on a device, from its beginning; arguments as for `seed_sequence`."""
    return torch.Generator(device).manual_seed(torch_seed(seed, name, *indices))
