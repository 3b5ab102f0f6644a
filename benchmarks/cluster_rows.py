"""What Ray costs on one machine, beside processes that Parrot starts itself."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from benchmarks.priors import untrained_prior
from benchmarks.row import Figures, Row, at_most
from benchmarks.setting import Setting
from benchmarks.timing import interleaved
from parrot_data.cluster.connection import OnRay
from parrot_data.generate import generate
from parrot_data.jobs.here import run_here
from parrot_data.jobs.job import Ended, Job
from parrot_data.jobs.on_ray import Kind, run_on_ray
from parrot_data.simulation import Workers
from parrot_models import finetune as stage

MOST_OVERHEAD = 1.1
AT_ONCE = 2  # places of the cluster, workers, jobs
TASK, METHODS = "pick-sculpture", ("parrot", "sac")
NOTE = (
    "The cluster runs already, as a lab's does; connecting to it, starting its processes and "
    "comparing its code are part of our figure, as starting processes is of the other."
)


def generation(setting: Setting) -> Figures:
    """Seconds to simulate as many episodes on a cluster of this machine and in its workers."""
    values, num_episodes = setting.values, setting.scale.shared_episodes
    params = values.generate.model_copy(
        update={"num_episodes": num_episodes, "episodes_per_file": max(1, num_episodes // 24)}
    )
    out = setting.scratch / "on-ray"

    def simulate(workers: Workers) -> None:
        shutil.rmtree(out, ignore_errors=True)
        generate(params, values.tabletop, out, workers=workers)

    with _cluster() as on:
        subjects = (lambda: simulate(on), lambda: simulate(AT_ONCE))
        ours, others = interleaved(subjects, (1, 1), setting.scale.stage_rounds, perf_counter)
    return Figures(ours, others, f"{num_episodes:,} scripted episodes. {NOTE}")


def sweep(setting: Setting) -> Figures:
    """Seconds for runs of finetune at once, on a cluster of this machine and in processes."""
    prior = setting.scratch / "models-on-ray" / "prior"
    prior.mkdir(parents=True, exist_ok=True)
    keypoints = setting.values.keypoints.model_dump()
    lineage = {"params": {"keypoints": keypoints}, "data_manifest_sha256": "0" * 64}
    untrained_prior(setting.values).save(prior, lineage)
    text = (setting.checkout / "params.yaml").read_text(encoding="utf-8")
    params = setting.scratch / "params.yaml"
    params.write_text(text, encoding="utf-8")
    kind = Kind(stage.__name__, stage.OUTPUT, text, setting.values.environment, threads=1)

    def here() -> Iterator[Ended]:
        return run_here(_jobs(setting, prior, "--params", str(params)), AT_ONCE, 1, _ignore)

    with _cluster() as on:

        def there() -> Iterator[Ended]:
            return run_on_ray(_jobs(setting, prior), kind, on, _ignore)

        subjects = (lambda: _see_through(there()), lambda: _see_through(here()))
        ours, others = interleaved(subjects, (1, 1), setting.scale.stage_rounds, perf_counter)
    steps = setting.scale.swept_steps
    return Figures(ours, others, f"{len(METHODS)} runs of {steps:,} env steps at once. {NOTE}")


def _jobs(setting: Setting, prior: Path, *told: str) -> list[Job]:
    """A run of each method, nowhere made yet."""
    scale, runs = setting.scale, setting.scratch / "runs-on-ray"
    shutil.rmtree(runs, ignore_errors=True)
    steps, values = scale.swept_steps, setting.values.finetune
    changed = {
        "finetune.env_steps": steps,
        "finetune.warmup_steps": min(values.warmup_steps, steps // 2),
        "finetune.critic_only_updates": min(values.critic_only_updates, steps // 10),
        "finetune.video_episodes": 0,
        "evaluate.num_episodes": scale.learning_episodes,
    }
    sets = [word for key, value in changed.items() for word in ("--set", f"{key}={value}")]
    common = ("--task", TASK, "--seed", "0", "--logs", "", "--threads", "1", *told, *sets)
    return [
        Job(
            f"{TASK}/{method}/0",
            ("finetune", "--method", method, *common),
            {"--prior": prior},
            runs / method,
        )
        for method in METHODS
    ]


def _see_through(endings: Iterable[Ended]) -> None:
    failed = [f"{end.job.name}: {end.error}" for end in endings if end.error]
    if failed:
        raise RuntimeError("; ".join(failed))


def _ignore(_doing: object) -> None:
    """Nobody watches."""


@contextmanager
def _cluster() -> Iterator[OnRay]:
    """A cluster of this machine that runs already."""
    from ray.cluster_utils import Cluster

    logging.getLogger("ray").setLevel(logging.ERROR)
    node = {"num_cpus": AT_ONCE, "include_dashboard": False}
    made = Cluster(
        initialize_head=True,
        head_node_args={**node, "_system_config": {"worker_niceness": 0}},
    )
    try:
        yield OnRay(made.address)
    finally:
        made.shutdown()


ROWS = (
    Row(
        "generation by Ray on one machine",
        "workers of its own",
        "s",
        (at_most(MOST_OVERHEAD),),
        generation,
    ),
    Row(
        "a sweep of one-minute runs by Ray on one machine",
        "processes of its own",
        "s",
        (at_most(MOST_OVERHEAD),),
        sweep,
    ),
)
