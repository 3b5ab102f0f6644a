"""LeRobot v3.0: `data` and `meta` as Parquet, images as PNG in them or as videos beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.exchange.format import Format, Holds, Rows
from parrot_data.exchange.lerobot.layout import STATE, keys_of
from parrot_data.exchange.lerobot.reading import files_of, open_recording
from parrot_data.exchange.lerobot.writing import write, write_video


def _remarks(spec: EpisodeSpec) -> list[str]:
    keys = keys_of(spec)
    if spec.vectors and STATE not in keys.values():
        return [f"no vector is called state, so there is no {STATE}, which LeRobot's policies read"]
    renamed = [name for name, key in keys.items() if key == STATE and name != "state"]
    return [f"the vector {name} is called {STATE}, as LeRobot's policies read" for name in renamed]


@dataclass(frozen=True)
class _HoldsVideo(Holds):
    """What a dataset with videos gives back: of images nothing to the last bit."""

    def rows(self, spec: EpisodeSpec) -> dict[str, Rows]:
        """What of each array is held, by the names of `Episode.arrays`."""
        return super().rows(spec) | {f"observation.{name}": "none" for name in spec.images}


FORMAT = Format(
    name="lerobot",
    title="[LeRobot](https://github.com/huggingface/lerobot) v3.0",
    layout="a folder with `data` and `meta`",
    makes=("data", "meta"),
    files_of=files_of,
    open_recording=open_recording,
    write=write,
    holds=Holds(observations="steps", rewards=True, terminated=True, task=True, success=True),
    says_bounds=False,
    remarks=_remarks,
)
VIDEO_FORMAT = replace(
    FORMAT,
    name="lerobot-video",
    title="the same, images as H.264, lossy",
    layout="a folder with `data`, `meta` and `videos`",
    makes=("data", "meta", "videos"),
    write=write_video,
    holds=_HoldsVideo(observations="steps", rewards=True, terminated=True, task=True, success=True),
)
