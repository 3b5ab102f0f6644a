"""Generate raw episodes: a world's scripted policies, in many processes or on many machines.

Every episode is a function of (params, seed, index) alone, and every file holds a fixed range of
indices: the same bytes come out of any number of workers or nodes, interrupted or not, and on any
x86-64 processor (see `arithmetic` for what that leaves out).
"""

from __future__ import annotations

from pathlib import Path

from parrot_data.generate_params import GenerateParams
from parrot_data.progress import Progress, silent
from parrot_data.simulation import Workers, check_workers, simulate
from parrot_data.stores.blocks import blocks_of, gather
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.manifest import EpisodesManifest, save_manifest
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.sources import code_of
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import code_of_world, make_world
from parrot_data.worlds.params import EnvironmentParams

OUTPUT = dataset_output("generate", "episodes", scratch=("episodes-*.json", "episodes-*.jsonl"))


__all__ = ["GenerateParams", "generate"]


def generate(
    params: GenerateParams,
    environment: EnvironmentParams,
    out: Path,
    *,
    workers: Workers,
    progress: Progress = silent,
) -> dict[str, object]:
    """Simulate `num_episodes` episodes into tars and a manifest under `out`.

    An interrupted run leaves its finished tars in `<out>.partial`; the next one goes on from there.

    Args:
        params: what to simulate.
        environment: in which world; it must have a demonstrator.
        out: folder of the result, replaced at the end.
        workers: processes to simulate in, apart from this one, or a cluster; the result does not
            depend on it.
        progress: called after every episode.

    Returns:
        num_episodes, num_successes and success_rate.

    Raises:
        UserError: `workers` is below 1, the world cannot be made, demonstrates nothing or not one
            of the tasks, its episodes are not as its spec says, a worker was killed, the cluster
            cannot be reached or has other code, or `open_work` refuses `out`.
    """
    check_workers(workers)
    world = make_world(environment)
    Demonstrations(world, params.tasks, params.seed).close()  # said now, not by a worker
    plain = {"generate": params.model_dump(), "environment": environment.model_dump()}
    code = {**code_of(__name__), "world": code_of_world(environment, world)}
    with open_work(out, OUTPUT, {"params": plain, "code": code}) as work:
        blocks = blocks_of(params.num_episodes, params.episodes_per_file)
        simulate(params, environment, work.folder, blocks, workers, progress)
        files, entries = gather(work.folder, blocks)
        manifest = EpisodesManifest(
            params=plain,
            spec=world.spec,
            seed=params.seed,
            num_episodes=params.num_episodes,
            files=files,
            episodes=entries,
        )
        save_manifest(work.folder, manifest)
        num_successes = sum(entry.success for entry in manifest.entries(work.folder))
        work.publish()
    return {
        "num_episodes": params.num_episodes,
        "num_successes": num_successes,
        "success_rate": num_successes / params.num_episodes,
    }
