"""The stages that make datasets."""

from __future__ import annotations

from cli import options
from cli.console import print_summary
from cli.options import PARAMS, Out, Overrides, Params, available_cores
from cli.progress import show_progress


def generate(
    out: Out,
    workers: options.Workers = None,
    ray: options.Ray = None,
    cpus: options.Cpus = None,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Simulate scripted episodes and record them, failures included."""
    from cli.params import Sections
    from parrot_data import generate as stage

    cluster = options.on_ray(ray, cpus, None, workers)
    read = Sections(params, overrides)
    with show_progress("generate") as progress:
        summary = stage.generate(
            read("generate", stage.GenerateParams),
            read.environment(),
            out,
            workers=cluster or workers or available_cores(),
            progress=progress,
        )
    print_summary(f"generated {out}", summary)


def filter_(
    episodes: options.Episodes, out: Out, params: Params = PARAMS, overrides: Overrides = None
) -> None:
    """Keep the episodes to learn from; say why the others are not kept."""
    from cli.params import Sections
    from parrot_data import filter as stage

    values = Sections(params, overrides)("filter", stage.FilterParams)
    with show_progress("filter") as progress:
        summary = stage.filter_episodes(values, episodes, out, progress=progress)
    print_summary(f"filtered into {out}", summary)


def shard(
    episodes: options.Episodes,
    kept: options.Kept,
    out: Out,
    workers: options.Workers = None,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Write the kept episodes as a Zarr store and as WebDataset tars."""
    from cli.params import Sections
    from parrot_data import shard as stage

    values = Sections(params, overrides)("shard", stage.ShardParams)
    with show_progress("shard") as progress:
        cores = workers or available_cores()
        summary = stage.shard(values, episodes, kept, out, workers=cores, progress=progress)
    print_summary(f"sharded into {out}", summary)
