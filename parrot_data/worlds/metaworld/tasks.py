"""Names of Meta-World's tasks, and the split of ML45: 45 to learn from, five that no data show.

They stand here as params are checked without the package; a test holds them against it.
"""

from __future__ import annotations

TRAINING = (
    "assembly", "basketball", "button-press", "button-press-topdown", "button-press-topdown-wall",
    "button-press-wall", "coffee-button", "coffee-pull", "coffee-push", "dial-turn", "disassemble",
    "door-close", "door-open", "drawer-close", "drawer-open", "faucet-close", "faucet-open",
    "hammer", "handle-press", "handle-press-side", "handle-pull", "handle-pull-side", "lever-pull",
    "peg-insert-side", "peg-unplug-side", "pick-out-of-hole", "pick-place", "pick-place-wall",
    "plate-slide", "plate-slide-back", "plate-slide-back-side", "plate-slide-side", "push",
    "push-back", "push-wall", "reach", "reach-wall", "shelf-place", "soccer", "stick-pull",
    "stick-push", "sweep", "sweep-into", "window-close", "window-open",
)  # fmt: skip
UNSEEN = ("bin-picking", "box-close", "door-lock", "door-unlock", "hand-insert")
TASKS = tuple(sorted((*TRAINING, *UNSEEN)))
