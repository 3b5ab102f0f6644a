"""The block of metadata with which a card begins, as the hub of Hugging Face reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

UNKNOWN_LICENSE = "unknown"  # a license by the hub's list
LIBRARY = "parrot-priors"  # as the hub is to call it
TAGS = ("robotics", "reinforcement-learning", "parrot")
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"),
         (10**7, "1M<n<10M"), (10**8, "10M<n<100M"))  # fmt: skip


def front_matter(values: Mapping[str, Any]) -> str:
    """The block, keys in their order."""
    written = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{written}---\n"


def size_category(num_examples: int) -> str:
    """The hub's name for the size of a dataset."""
    return next((name for most, name in SIZES if num_examples < most), "100M<n<1B")
