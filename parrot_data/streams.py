"""Streams of random numbers, each a function of (seed, name, indices).

What draws at random names its stream by a string of its own. Names are hashed, so that two of them
never give the same numbers, whatever the seed: small numbers chosen here and there did.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

NUM_WORDS = 4  # of 32 bits: as much of the hash as a SeedSequence's pool holds


def seed_sequence(seed: int, name: str, *indices: int) -> np.random.SeedSequence:
    """The source of a stream.

    Args:
        seed: of the run, at least 0; it may be as long as the operating system's entropy.
        name: of the stream, unlike that of any other.
        indices: of an episode, a step: each combination is a stream of its own.

    Returns:
        The same for the same arguments on every machine.
    """
    key = json.dumps([name, *map(int, indices)]).encode()
    words = np.frombuffer(hashlib.sha256(key).digest(), dtype="<u4")[:NUM_WORDS]
    return np.random.SeedSequence(seed, spawn_key=tuple(words.tolist()))


def generator(seed: int, name: str, *indices: int) -> np.random.Generator:
    """A stream, from its beginning; see `seed_sequence`."""
    return np.random.default_rng(seed_sequence(seed, name, *indices))
