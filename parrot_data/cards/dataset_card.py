"""The card of a dataset: what it holds, whence it came, how to read it, and what it looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from parrot_data.cards.episodes_image import episodes_image
from parrot_data.cards.front_matter import TAGS, UNKNOWN_LICENSE, front_matter, size_category
from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec, ImageSpec
from parrot_data.stores import tar_shards
from parrot_data.stores.card_files import CARD, IMAGE, stamped
from parrot_data.stores.manifest import MANIFEST, Manifest, ShardsManifest, load_any_manifest
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.zarr_store import zarr_of

SHOWN = 4  # episodes of the image
OF_OURS = "mit"  # of what the tabletop's scripts make: the license of the package
READ = {
    "shards": """\
from pathlib import Path

from parrot_data.stores.manifest import load_manifest
from parrot_data.stores.zarr_store import zarr_of

folder = Path(".")  # this one
manifest = load_manifest(folder, "shards")
episode = zarr_of(folder, manifest)[0]
episode.task, episode.success, episode.actions.shape""",
    "episodes": """\
from pathlib import Path

from parrot_data.stores.manifest import load_manifest
from parrot_data.stores.tar_shards import read_episodes

folder = Path(".")  # this one
manifest = load_manifest(folder, "episodes")
episode = next(read_episodes(manifest.tar_paths(folder), manifest.spec))
episode.task, episode.success, episode.actions.shape""",
}
HOLDS = {
    "shards": "Each store has all of it: Zarr for random access (`episodes.zarr`, which plain zarr "
    "opens too), WebDataset tars for streaming, one sample an episode.",
    "episodes": "They lie in WebDataset tars, one sample an episode, failures included: `parrot "
    "filter` and `parrot shard` make a training set of them.",
}


def write_card(folder: Path) -> None:
    """Write the card of a finished dataset into its own folder: README.md and an image.

    Raises:
        UserError: it is no dataset, or damaged.
    """
    page, image = dataset_card(folder)
    (folder / CARD).write_text(page, encoding="utf-8")
    (folder / IMAGE).write_bytes(image)


def dataset_card(folder: Path, license_id: str | None = None) -> tuple[str, bytes]:
    """The page and the image of a dataset, both functions of what its manifest vouches for.

    Args:
        folder: of episodes or of shards.
        license_id: of the data, as the hub spells it; without, that of the package where its own
            scripts made them, and unknown elsewhere.

    Raises:
        UserError: it is no dataset, or damaged.
    """
    manifest = load_any_manifest(folder)
    tasks, successes, num_steps = Counter[str](), Counter[str](), 0
    for entry in manifest.entries(folder):
        tasks[entry.task] += 1
        successes[entry.task] += entry.success
        num_steps += entry.num_steps
    counted = f"{manifest.num_episodes:,} episodes, {num_steps:,} steps"
    rows = "\n".join(
        f"| {_cell(task)} | {n:,} | {successes[task]:,} |" for task, n in sorted(tasks.items())
    )
    page = f"""\
{_metadata(manifest, sorted(tasks), license_id)}
# {_title(sorted(tasks))}

{counted}, as [PARROT](https://arxiv.org/abs/2011.10024) learns from them. {HOLDS[manifest.kind]}

![Some of the episodes, from their first step to their last]({IMAGE})

| task | episodes | successes |
|---|---|---|
{rows}

{_spec_table(manifest.spec)}

## Read it

```python
{READ[manifest.kind]}
```

## Lineage

{_lineage(folder, manifest)}

`manifest.json` holds the SHA-256 of every file of data; `parrot verify` checks all of them, and
every episode in each store. Statistics of observations and actions are in it too.

## Limits

What the episodes show is what a model of them knows: these tasks, this robot, these views. Nothing
in them says what is safe on a real robot.
"""
    image = episodes_image(manifest.spec, list(_shown(folder, manifest)))
    return stamped(page, image), image


def _metadata(manifest: Manifest, tasks: list[str], license_id: str | None) -> str:
    world = manifest.params.get("environment", {}).get("name")
    paths = "tar/*.tar" if manifest.kind == "shards" else "*.tar"
    return front_matter({
        "pretty_name": _title(tasks),
        "license": license_id or (OF_OURS if world == "tabletop" else UNKNOWN_LICENSE),
        "task_categories": ["robotics"],
        "tags": [*TAGS, "webdataset", *(["zarr"] if manifest.kind == "shards" else [])],
        "size_categories": [size_category(manifest.num_episodes)],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": paths}]}
        ],
    })  # fmt: skip


def _title(tasks: list[str]) -> str:
    named = ", ".join(tasks[:3])
    return f"Episodes of {named}" + (f" and {len(tasks) - 3} more tasks" if tasks[3:] else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _spec_table(spec: EpisodeSpec) -> str:
    bounds = "no bounds" if spec.action.low is None else "within bounds"
    rate = "" if spec.control_rate_hz is None else f", {spec.control_rate_hz:g} a second"
    rows = [
        f"| observation `{name}` | {'image' if isinstance(each, ImageSpec) else 'vector'} | "
        f"{each.dtype} {list(each.shape)} |"
        for name, each in sorted(spec.observations.items())
    ]
    rows.append(f"| action | vector, {bounds}{rate} | float32 [{spec.action.dim}] |")
    rows += [
        f"| privileged `{name}` | no policy may see it | {each.dtype} {each.shape} |"
        for name, each in sorted(spec.privileged.items())
    ]
    return "\n".join(["| of each step | kind | dtype, shape |", "|---|---|---|", *rows])


def _lineage(folder: Path, manifest: Manifest) -> str:
    lines = [f"- `{MANIFEST}`: SHA-256 `{sha256_file(folder / MANIFEST)}`"]
    if isinstance(manifest, ShardsManifest) and manifest.sources is not None:
        sources = manifest.sources
        lines += [
            f"- sharded from episodes whose manifest is `{sources.episodes_manifest_sha256}`",
            f"- kept by the decision `{sources.kept_sha256}`",
        ]
    lines.append(
        f"- made by the stages {', '.join(f'`{name}`' for name in sorted(manifest.params))}"
    )
    made: dict[str, Any] = manifest.params.get("import", {})
    if made:
        lines.append(
            f"- imported from {made['format']}, source SHA-256 `{made['source_sha256']}`; success "
            f"by `{made['success']}`"
        )
    elif "environment" in manifest.params:
        lines.append(
            f"- simulated in the world `{manifest.params['environment']['name']}`, seed "
            f"{manifest.seed}"
        )
    return "\n".join(lines)


def _shown(folder: Path, manifest: Manifest) -> Iterator[Episode]:
    """The first episode of each task, then the first others; of raw ones the first, as they lie."""
    if manifest.kind == "episodes":
        yield from islice(
            tar_shards.read_episodes(manifest.tar_paths(folder), manifest.spec), SHOWN
        )
        return
    first, others, seen = list[int](), list[int](), set[str]()
    for position, entry in enumerate(manifest.entries(folder)):
        if entry.task not in seen:
            first.append(position)
            seen.add(entry.task)
        elif len(others) < SHOWN:
            others.append(position)
        if len(first) >= SHOWN:
            break
    store = zarr_of(folder, manifest)
    yield from (store[position] for position in sorted([*first, *others][:SHOWN]))
