"""What is attacked: the stages of the pipeline, and what else is made of a dataset.

All with values so small that each takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from parrot_data.errors import UserError

TASK = "pick-bar"


@dataclass(frozen=True)
class Stage:
    """A command of the pipeline.

    Attributes:
        name: how the table calls it.
        arguments: what follows `parrot`, without --out.
        out: folder it writes.
        inputs: folders it reads.
    """

    name: str
    arguments: tuple[str, ...]
    out: str
    inputs: tuple[str, ...] = ()

    def line(self, out: str | None = None) -> tuple[str, ...]:
        """Everything that follows `parrot`."""
        return (*self.arguments, "--out", self.out if out is None else out)


EPISODES, KEPT, SHARDS, PRIOR = "data/episodes", "data/kept", "data/shards", "models/prior"
JUDGED = "judged/prior"
RUN = f"runs/{TASK}/parrot/0"

GENERATE = Stage("generate", ("generate",), EPISODES)
FILTER = Stage("filter", ("filter", "--episodes", EPISODES), KEPT, (EPISODES,))
SHARD = Stage("shard", ("shard", "--episodes", EPISODES, "--kept", KEPT), SHARDS, (EPISODES, KEPT))
TRAIN_PRIOR = Stage("train-prior", ("train-prior", "--data", SHARDS), PRIOR, (SHARDS,))
PRETRAIN = tuple(
    Stage(
        f"pretrain {method}",
        ("pretrain", "--method", method, "--data", SHARDS),
        f"models/{method}",
        (SHARDS,),
    )
    for method in ("bc", "vae", "trajectories", "options")
)
JUDGE = Stage("judge", ("judge", "--model", PRIOR), JUDGED, (PRIOR,))
FINETUNE = Stage(
    "finetune",
    ("finetune", "--task", TASK, "--method", "parrot", "--seed", "0", "--prior", PRIOR),
    RUN,
    (PRIOR,),
)
REPORT = Stage("report", ("report", "--runs", "runs"), "report", (SHARDS, KEPT, PRIOR, JUDGED, RUN))

# What a dataset is made into beside the pipeline
SPLIT_UP, EXPORTED = "data/split", "exported"
EDITS = (
    Stage(
        "select",
        ("select", EPISODES, "--where", "num_steps > 0 and index != 3"),
        "data/selected",
        (EPISODES,),
    ),
    Stage("split", ("split", EPISODES, "--shares", "0.5,0.5"), SPLIT_UP, (EPISODES,)),
    Stage("merge", ("merge", f"{SPLIT_UP}/0", f"{SPLIT_UP}/1"), "data/merged", (SPLIT_UP,)),
    Stage("append", ("append", EPISODES, "--episodes", "6"), "data/longer", (EPISODES,)),
)
EXCHANGES = tuple(
    stage
    for name in ("lerobot", "robomimic", "diffusion-policy")
    for stage in (
        Stage(
            f"export to {name}",
            ("export", EPISODES, "--format", name),
            f"{EXPORTED}/{name}",
            (EPISODES,),
        ),
        Stage(
            f"import from {name}",
            ("import", f"{EXPORTED}/{name}", "--format", name),
            f"data/{name}",
            (f"{EXPORTED}/{name}",),
        ),
    )
)
VIEW = Stage("view", ("view", EPISODES), "page", (EPISODES,))
PRODUCTS = (*EDITS, *EXCHANGES, VIEW)

DATA_STAGES = (GENERATE, FILTER, SHARD)
STAGES = (*DATA_STAGES, TRAIN_PRIOR, *PRETRAIN, JUDGE, FINETUNE, REPORT, *PRODUCTS)

_TRAINED: Mapping[str, Any] = MappingProxyType({"log_every": 4, "checkpoint_every": 4, "steps": 24})
_SEEING: Mapping[str, Any] = MappingProxyType(
    {"encoder": {"feature_dim": 6, "window_dim": 0}, "context_dim": 8}
)
_ACTING: Mapping[str, Any] = MappingProxyType({**_TRAINED, **_SEEING, "hidden": [16]})
TINY: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "generate": {"num_episodes": 24, "episodes_per_file": 6},
        "shard": {"steps_per_chunk": 50, "chunks_per_shard": 2, "episodes_per_tar": 6},
        "keypoints": {"num_keypoints": 4, "width": 4, "steps": 4, "batch_size": 8},
        "train_prior": {**_TRAINED, **_SEEING, "batch_size": 16}
        | {"flows": {"affine": {"num_layers": 2, "hidden": [16]}}},
        "pretrain": {
            "bc": {**_ACTING, "batch_size": 16},
            "vae": {**_TRAINED, "latent_dim": 4, "width": 4, "hidden": 8, "batch_size": 8},
            "trajectories": {**_ACTING, "latent_dim": 4, "batch_size": 4},
            "options": {**_ACTING, "posterior_width": 8, "batch_size": 4, "images_per_episode": 3},
        },
        "judge": {"num_episodes": 2, "num_demonstrations": 1, "probe": {"scenes": 10}},
        "finetune": {
            "tasks": [TASK],
            "methods": ["parrot"],
            "env_steps": 200,
            "warmup_steps": 50,
            "critic_only_updates": 5,
            "batch_size": 16,
            "replay_capacity": 300,
            "checkpoint_every_steps": 25,
            "curve_window_episodes": 2,
            "curve_every_episodes": 1,
            "video_episodes": 1,
        },
        "evaluate": {"num_episodes": 2},
        "report": {"contact_sheet_episodes": 4, "bootstrap_draws": 100},
    }
)


def made_tiny(params: Mapping[str, Any], changes: Mapping[str, Any] = TINY) -> dict[str, Any]:
    """The sections of params.yaml with the tiny values in them.

    Raises:
        UserError: a value that is made tiny has no such key any more.
    """
    if unknown := changes.keys() - params.keys():
        raise UserError(
            f"params.yaml has no key {sorted(unknown)[0]}, which torture makes small: "
            "correct benchmarks/torture/stages.py"
        )
    return dict(params) | {
        key: made_tiny(params[key], value) if isinstance(value, Mapping) else value
        for key, value in changes.items()
    }
