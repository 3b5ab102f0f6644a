"""Check against LeRobot itself: what Parrot exports loads there, what LeRobot writes imports here.

LeRobot and its torch (several GB) are installed into a temporary environment, as theirs and
Parrot's exclude each other: `make check-lerobot`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.exchange.cases import Case, generated, made_up_cases, report, tell
from benchmarks.exchange.other_environment import environment, told_by
from parrot_data.episodes.episode import Episode
from parrot_data.exchange.format import ExportOptions, Format
from parrot_data.exchange.lerobot import FORMAT, VIDEO_FORMAT
from parrot_data.exchange.lerobot.layout import SUCCESS, keys_of
from parrot_data.exchange.recording import Trajectory
from parrot_data.streams import generator

TITLE = "Parrot's LeRobot format against LeRobot itself: `make check-lerobot`"
_IN_LEROBOT = Path(__file__).with_name("in_lerobot.py")
_WANTED = ("lerobot==0.4.4", "torch==2.10.0")  # the last LeRobot for Python 3.11, and its newest
_FPS = 20.0  # where the spec says none


@dataclass(frozen=True)
class _Exported(Case):
    """Episodes to export, and as what: `format`."""

    format: Format = FORMAT

    @property
    def fps(self) -> float:
        """Of the export."""
        return self.spec.control_rate_hz or _FPS


def main(
    episodes: Annotated[Path, typer.Argument(help="A dataset that `parrot generate` wrote.")],
    out: Annotated[Path, typer.Option(help="The report.")],
    python: Annotated[
        Path | None, typer.Option(help="Of an environment that has LeRobot; else one is made.")
    ] = None,
) -> None:
    """Export, load with LeRobot, compare every frame; write with LeRobot, import, compare."""
    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        cases = _cases(episodes)
        for case in cases:
            _export(case, work / case.name)
        found = _in_lerobot(python or environment(work / "environment", _WANTED), cases, work)
        lines = report(TITLE, cases, found, work, _imported)
    tell(lines, found, out)


def _cases(folder: Path) -> list[_Exported]:
    first = vars(generated(folder))
    filmed = {**first, "name": "filmed", "title": f"{first['title']}, with videos"}
    made = made_up_cases(lambda name: generator(0, f"check of LeRobot's format: {name}"))
    return [
        _Exported(**first),
        _Exported(**filmed, format=VIDEO_FORMAT),
        *(_Exported(**vars(each)) for each in made),
    ]


def _export(case: _Exported, folder: Path) -> None:
    """Parrot's export, and beside it what must be in it, in LeRobot's words."""
    (folder / "exported").mkdir(parents=True)
    episodes, spec = case.episodes, case.spec
    lengths = [episode.num_steps for episode in episodes]
    tasks = tuple(sorted({episode.task for episode in episodes}))
    options = ExportOptions(tasks, sum(lengths), case.fps)
    case.format.write(iter(episodes), spec, len(episodes), folder / "exported", options)
    rows = {
        f"rows/{key}": np.concatenate([each.observations[name][:-1] for each in episodes])
        for name, key in keys_of(spec).items()
    }
    ends = np.cumsum(lengths) - 1
    total = sum(lengths)
    rows |= {
        "rows/action": np.concatenate([each.actions for each in episodes]),
        "rows/next.reward": np.concatenate([each.rewards for each in episodes])[:, None],
        "rows/next.done": _marked(total, ends),
        "rows/next.truncated": _marked(
            total, [end for end, each in zip(ends, episodes, strict=True) if not each.terminated]
        ),
        f"rows/{SUCCESS}": _marked(
            total, [end for end, each in zip(ends, episodes, strict=True) if each.success]
        ),
        "lengths": np.array(lengths),
        "tasks": np.array([episode.task for episode in episodes]),
        "fps": np.array(case.fps),
    }
    np.savez(folder / "expected.npz", allow_pickle=False, **rows)


def _marked(total: int, places: Iterable[int]) -> NDArray[np.bool_]:
    found = np.zeros((total, 1), dtype=np.bool_)
    found[list(places)] = True
    return found


def _in_lerobot(python: Path, cases: list[_Exported], work: Path) -> dict[str, Any]:
    """What LeRobot says of each export."""
    folders = [str(work / case.name) for case in cases]
    ours = {"HF_HOME": str(work / "cache"), "HF_HUB_OFFLINE": "1"}
    return told_by(python, _IN_LEROBOT, folders, ours)


def _imported(folder: Path, case: _Exported) -> str:
    """Read what LeRobot itself wrote, and compare it with the episodes."""
    is_lossy = case.format is VIDEO_FORMAT
    seen = {path.stem: np.load(path) for path in folder.parent.glob("observation.*.npy")}
    at = 0
    with FORMAT.open_recording(folder, SUCCESS) as recording:
        if recording.control_rate_hz != case.fps:
            sys.exit(f"{case.name}: another control rate is read than LeRobot wrote")
        for read, episode in zip(recording.trajectories, case.episodes, strict=True):
            there = slice(at, at + episode.num_steps)
            decoded = {key: rows[there] for key, rows in seen.items()}
            if not _is_same(read, episode, decoded, keys_of(case.spec)):
                sys.exit(f"{case.name}: episode {episode.index} is read otherwise than written")
            at += episode.num_steps
    if is_lossy:
        return "what LeRobot itself films of these frames is read as LeRobot reads it"
    return "what LeRobot itself writes of these frames is read back to the last bit"


def _is_same(
    read: Trajectory,
    episode: Episode,
    decoded: Mapping[str, NDArray[Any]],
    keys: Mapping[str, str],
) -> bool:
    """Whether an episode is read as it was, and images of videos as LeRobot decodes them."""
    told = (read.task, read.terminated, read.flag is not None and bool(read.flag[-1]))
    arrays = {**read.observations, "the action": read.actions, "the reward": read.rewards}
    wanted = {
        name: decoded.get(keys[name], rows[:-1]) for name, rows in episode.observations.items()
    }
    wanted |= {"the action": episode.actions, "the reward": episode.rewards}
    return (
        told == (episode.task, episode.terminated, episode.success)
        and arrays.keys() == wanted.keys()
        and all(_equal(arrays[name], rows) for name, rows in wanted.items())
    )


def _equal(found: NDArray[Any] | None, wanted: NDArray[Any]) -> bool:
    same = found is not None and found.dtype == wanted.dtype
    return same and np.array_equal(np.asarray(found).reshape(wanted.shape), wanted)


if __name__ == "__main__":
    typer.run(main)
