"""Check against tensorflow_datasets: Parrot's export loads there, what it writes imports here.

TensorFlow is installed into a temporary environment, to keep it out of Parrot's: `make check-rlds`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.exchange.cases import Case, generated, made_up_cases, report, tell
from benchmarks.exchange.other_environment import environment, told_by
from parrot_data.episodes.episode import Episode
from parrot_data.exchange.format import ExportOptions
from parrot_data.exchange.recording import Trajectory
from parrot_data.exchange.rlds import FORMAT, writing
from parrot_data.streams import generator

TITLE = "Parrot's RLDS against tensorflow_datasets itself: `make check-rlds`"
_IN_TFDS = Path(__file__).with_name("in_tfds.py")
# protobuf 7 lacks what TensorFlow Datasets asks of it
_WANTED = ("tensorflow-cpu==2.20.0", "tensorflow-datasets==4.9.9", "protobuf==6.33.0")


def main(
    episodes: Annotated[Path, typer.Argument(help="A dataset that `parrot generate` wrote.")],
    out: Annotated[Path, typer.Option(help="The report.")],
    python: Annotated[
        Path | None, typer.Option(help="Of an environment that has TensorFlow; else one is made.")
    ] = None,
) -> None:
    """Export, load with tensorflow_datasets, compare every step; write there, import, compare."""
    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        made = made_up_cases(lambda name: generator(0, f"check of RLDS: {name}"))
        cases = [generated(episodes), *made]
        for case in cases:
            _export(case, work / case.name)
        interpreter = python or environment(work / "environment", _WANTED)
        folders = [str(work / case.name) for case in cases]
        ours = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "HOME": temporary}
        found = told_by(interpreter, _IN_TFDS, folders, ours)
        lines = report(TITLE, cases, found, work, _imported)
    tell(lines, found, out)


def _export(case: Case, folder: Path) -> None:
    """Parrot's export, and beside it what must be in it, in the words of RLDS."""
    (folder / "exported").mkdir(parents=True)
    episodes, spec = case.episodes, case.spec
    tasks = tuple(sorted({episode.task for episode in episodes}))
    options = ExportOptions(tasks, sum(each.num_steps for each in episodes), spec.control_rate_hz)
    # A bound that these few episodes exceed, so that there are several files.
    usual, writing.SHARD_BYTES = writing.SHARD_BYTES, 1 << 16
    try:
        FORMAT.write(iter(episodes), spec, len(episodes), folder / "exported", options)
    finally:
        writing.SHARD_BYTES = usual
    expected = {"num_episodes": np.array(len(episodes))}
    for index, episode in enumerate(episodes):
        expected |= {f"{index}/{key}": rows for key, rows in _rows(episode).items()}
    np.savez(folder / "expected.npz", allow_pickle=False, **expected)


def _rows(episode: Episode) -> dict[str, NDArray[Any]]:
    steps = np.arange(episode.num_steps + 1)
    is_last = steps == steps[-1]
    ended = is_last & episode.terminated
    return {
        **{f"steps/observation/{name}": rows for name, rows in episode.observations.items()},
        "steps/action": np.append(episode.actions, np.zeros_like(episode.actions[:1]), axis=0),
        "steps/reward": np.append(episode.rewards, np.float32(0)),
        "steps/discount": np.float32(~(is_last | np.roll(ended, -1))),
        "steps/is_first": steps == 0,
        "steps/is_last": is_last,
        "steps/is_terminal": ended,
        "task": np.array(episode.task),
        "success": np.array(episode.success),
    }


def _imported(folder: Path, case: Case) -> str:
    """Read what tensorflow_datasets itself wrote, and compare it with the episodes."""
    with FORMAT.open_recording(folder, "success") as recording:
        for read, episode in zip(recording.trajectories, case.episodes, strict=True):
            if not _is_same(read, episode):
                sys.exit(f"{case.name}: episode {episode.index} is read otherwise than written")
    return "what TFDS itself writes of these steps is read back to the last bit"


def _is_same(read: Trajectory, episode: Episode) -> bool:
    told = (read.task, read.terminated, read.flag is not None and bool(read.flag))
    arrays = {**read.observations, "the action": read.actions, "the reward": read.rewards}
    wanted = {
        **episode.observations,
        "the action": episode.actions,
        "the reward": episode.rewards,
    }
    return (
        told == (episode.task, episode.terminated, episode.success)
        and arrays.keys() == wanted.keys()
        and all(_equal(arrays[name], rows) for name, rows in wanted.items())
    )


def _equal(found: NDArray[Any] | None, wanted: NDArray[Any]) -> bool:
    return found is not None and found.dtype == wanted.dtype and np.array_equal(found, wanted)


if __name__ == "__main__":
    typer.run(main)
