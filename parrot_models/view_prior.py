"""Look at what a prior does by itself in unseen scenes, beside the data: one page of episodes."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import episode_of, episode_seed
from parrot_data.episodes.spec import EpisodeSpec, difference
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores import tar_shards
from parrot_data.stores.entries import EpisodeEntry, entry_of
from parrot_data.stores.manifest import MANIFEST, Manifest, load_any_manifest
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.picked import Part, Picked, places_picked
from parrot_data.stores.publish import read_json, sha256_file, write_json
from parrot_data.stores.sources import code_of
from parrot_data.streams import generator
from parrot_data.viewing.page_writer import WRITTEN, About, size_of, write_page
from parrot_data.worlds.make import code_of_world, make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_data.worlds.world import Env, World
from parrot_models.judging import policies
from parrot_models.judging.models import check_world, hashes_of
from parrot_models.judging.params import JudgeParams
from parrot_models.judging.policies import Policy
from parrot_models.judging.rollouts import families_of, rolled_out
from parrot_models.networks.device import CPU
from parrot_models.networks.stored import CONFIG
from parrot_models.prior.behavioral_prior import WEIGHTS, BehavioralPrior

__all__ = ["JudgeParams", "shards_of", "view_prior"]

# Facts of every episode of the page: who acted; of a rollout in which scene, of an episode of the
# data as which one of them.
POLICY, SCENE, NUMBER = "policy", "scene", "number in the data"
SAMPLED, LIKELIEST = "prior, sampled", "prior at z = 0"
SCRIPTED, DEMONSTRATED = "scripted", "demonstrated"  # data of a world, and recorded elsewhere
ROLLOUTS, ZSTD_LEVEL = "rollouts.tar", 3
MARKER = "view.json"
OUTPUT = output_of(
    "view", MARKER, keys=("viewed_prior",), files=WRITTEN, scratch=(ROLLOUTS,)
)  # fmt: skip
Described = tuple[EpisodeEntry, Episode]
_POLICIES: Mapping[str, Callable[[BehavioralPrior], Policy]] = {
    SAMPLED: policies.sampling,
    LIKELIEST: policies.most_likely_latent,
}


def view_prior(
    params: JudgeParams,
    environment: EnvironmentParams,
    prior: Path,
    dataset: Path,
    out: Path,
    *,
    num_episodes: int,
    device: torch.device = CPU,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Roll a prior out, sampled and at z = 0, and write a page of that and of the data.

    Both act in the same scenes, those that `judge` begins with, shared out over its families; in a
    world without families, in its tasks. Of the data are shown as many, of each task as many as of
    any other. The fact "policy" tells them apart. The same bytes for the same arguments.

    Args:
        params: families and seed of the scenes.
        environment: the world.
        prior: folder that `train-prior` wrote; nothing in it is changed.
        dataset: episodes or shards with the same observations and actions.
        out: folder of the page, replaced at the end.
        num_episodes: of each policy, and at most of the data.
        device: where the prior acts.
        progress: called after every rollout and every episode of the page.

    Returns:
        num_episodes, successes by policy, num_files and megabytes.

    Raises:
        UserError: prior or dataset is missing, damaged or of other data than the world's; the
            world cannot be made or breaks its spec; or `open_work` refuses `out`.
    """
    manifest = load_any_manifest(dataset)
    world = make_world(environment)
    hashes = {**hashes_of(prior), f"{MANIFEST} of the data": sha256_file(dataset / MANIFEST)}
    fingerprint = {
        "hashes": hashes,
        "params": {"judge": params.model_dump(include={"families", "seed"}),
                   "environment": environment.model_dump(), "num_episodes": num_episodes},
        "code": {**code_of(__name__), "world": code_of_world(environment, world)},
        "device": device.type,
    }  # fmt: skip
    with open_work(out, OUTPUT, fingerprint, [prior, dataset]) as work:
        loaded = BehavioralPrior.load(prior).to(device)
        _check_specs(prior, loaded.spec, dataset, manifest, world)
        spec = loaded.spec.model_copy(update={"privileged": {}})
        chosen = _chosen(manifest, dataset, num_episodes)
        total = 2 * len(_POLICIES) * num_episodes + len(chosen)  # a rollout is made, then shown
        # From the disk again: what tells episodes apart must be known before the first is shown
        tar = work.folder / ROLLOUTS
        made = _rollouts(params, world, loaded, num_episodes)
        acted = _written(tar, made, lambda done: progress(done, total, "rollouts"))
        entries = [*acted, *chosen.values()]
        about = About(
            name=f"a prior in {environment.name}",
            kind="prior",
            sha256=hashes[WEIGHTS],
            spec=spec,
            num_episodes=len(entries),
            grouped_by=POLICY,
        )
        episodes = chain(_read(tar, spec, acted), _of_data(dataset, manifest, chosen))
        write_page(
            work.folder, about, entries, episodes,
            lambda done, _, note: progress(len(acted) + done, total, note),
        )  # fmt: skip
        write_json(work.folder / MARKER, {"viewed_prior": hashes})
        work.publish()
    return {"num_episodes": len(entries), "successes": _successes(entries), **size_of(out)}


def shards_of(prior: Path) -> Path:
    """The shards that a prior was trained on, if they lie where the pipeline puts them.

    Raises:
        UserError: they do not, or the prior does not say which they were.
    """
    config = read_json(prior / CONFIG)
    recorded = config.get("data_manifest_sha256") if isinstance(config, dict) else None
    for folder in (prior / "../../data/shards", Path("data/shards")):
        if (folder / MANIFEST).is_file() and sha256_file(folder / MANIFEST) == recorded:
            return folder
    raise UserError(
        f"the shards that {prior} was trained on do not lie in data/shards: name them, or other "
        "episodes of its world, by --data"
    )


def _check_specs(
    prior: Path, spec: EpisodeSpec, dataset: Path, manifest: Manifest, world: World
) -> None:
    """Refuse a world, or data, in which the prior sees or does something else.

    Raises:
        UserError: naming the first difference.
    """
    found = difference(spec, world.spec)
    if found and "environment" not in manifest.params:
        raise UserError(
            f"{dataset} was recorded elsewhere, and the world of section environment is not the "
            f"one that {prior} acts in ({found}), so there is nothing to roll it out in: name its "
            f"world in section environment, or look at the data alone by `parrot view {dataset}`"
        )
    check_world(prior, spec, world.spec)
    found = difference(spec, manifest.spec)
    if found:
        raise UserError(
            f"{dataset} holds other data than {prior} was trained on ({found}): name episodes of "
            "its own world by --data"
        )


def _rollouts(
    params: JudgeParams, world: World, prior: BehavioralPrior, num_episodes: int
) -> Iterator[Episode]:
    """Episodes in one place after the other, those in the same scene side by side."""
    places, make_env = _places(params, world)
    acting = {label: make(prior) for label, make in _POLICIES.items()}
    index = 0
    for number, place in enumerate(places):
        num_scenes = len(range(number, num_episodes, len(places)))
        if not num_scenes:
            break
        with closing(make_env(place)) as env:
            for scene in range(num_scenes):
                for label, policy in acting.items():
                    rng = generator(params.seed, "view: prior", number, scene)
                    episode = _rolled_out(world, env, policy, rng, params.seed, scene, place)
                    facts = {**episode.facts, POLICY: label, SCENE: f"{place} {scene}"}
                    yield replace(episode, index=index, facts=facts)
                    index += 1


def _rolled_out(
    world: World,
    env: Env,
    policy: Policy,
    rng: np.random.Generator,
    seed: int,
    scene: int,
    place: str,
) -> Episode:
    rollout = rolled_out(world, env, lambda env: policy(env, rng), episode_seed(seed, scene))
    # No page shows what is privileged, and not every world tells it of unseen scenes
    return replace(episode_of(rollout, scene, place), privileged={})


def _places(params: JudgeParams, world: World) -> tuple[list[str], Callable[[str], Env]]:
    """Families of unseen scenes to act in, or a world's tasks where it has none, and their env."""
    if world.families:
        return families_of(world, params.families, "judge"), world.unseen
    return list(world.tasks), world.make_env


def _written(
    tar: Path, episodes: Iterable[Episode], progress: Callable[[int], None]
) -> list[EpisodeEntry]:
    """Write episodes into a tar, one at a time; returns what is to be said of each."""
    entries: list[EpisodeEntry] = []

    def noted() -> Iterator[Episode]:
        progress(0)
        for episode in episodes:
            entries.append(entry_of(episode))
            yield episode
            progress(len(entries))

    tar_shards.write_shard(tar, noted(), zstd_level=ZSTD_LEVEL)
    return entries


def _read(tar: Path, spec: EpisodeSpec, entries: Iterable[EpisodeEntry]) -> Iterator[Described]:
    for entry, sample in tar_shards.described_samples([tar], spec, entries):
        yield entry, tar_shards.decode_described(entry, sample, spec)


def _chosen(manifest: Manifest, dataset: Path, num_episodes: int) -> dict[int, EpisodeEntry]:
    """The first episodes of each task of the data, of every task as many as of any other.

    Returns:
        What the page says of them, by their places in the data, in the order of these.
    """
    num_of_task = Counter[str]()

    def ranked() -> Iterator[tuple[int, int, EpisodeEntry]]:
        for position, entry in enumerate(manifest.entries(dataset)):
            num_of_task[entry.task] += 1
            yield num_of_task[entry.task], position, entry

    first = heapq.nsmallest(num_episodes, ranked(), key=lambda each: each[:2])
    label = SCRIPTED if "environment" in manifest.params else DEMONSTRATED
    found: dict[int, EpisodeEntry] = {}
    for _, position, entry in sorted(first, key=lambda each: each[1]):
        facts = {**entry.facts, POLICY: label, NUMBER: entry.index}
        index = len(_POLICIES) * num_episodes + len(found)  # behind those of the rollouts
        found[position] = replace(entry, index=index, facts=facts)
    return found


def _of_data(
    dataset: Path, manifest: Manifest, chosen: Mapping[int, EpisodeEntry]
) -> Iterator[Described]:
    """Stream the chosen episodes, each with what the page says of it."""
    picked = Picked([Part(dataset, manifest, places_picked(chosen, manifest.num_episodes))])
    # The chosen first: what lies behind the last of them is not read
    return zip(chosen.values(), picked.episodes(), strict=False)


def _successes(entries: Iterable[EpisodeEntry]) -> dict[str, int]:
    """How many episodes succeeded, by policy."""
    counts = Counter[str]()
    for entry in entries:
        counts[str(entry.facts[POLICY])] += entry.success
    return dict(counts)
