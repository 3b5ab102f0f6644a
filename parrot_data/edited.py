"""What an edit writes: a dataset like the one that was edited, and the card of shards."""

from __future__ import annotations

from pathlib import Path

from parrot_data.cards.dataset_card import write_card
from parrot_data.progress import Progress
from parrot_data.stores.edits import write_like
from parrot_data.stores.origin import Origin
from parrot_data.stores.picked import Picked


def write_edited(folder: Path, picked: Picked, origin: Origin, progress: Progress) -> None:
    """Write episodes, see `write_like`, and the card where `shard` would write one.

    Raises:
        UserError: as `write_like`.
    """
    if write_like(folder, picked, origin, progress).kind == "shards":
        write_card(folder)
