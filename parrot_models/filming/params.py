"""What a user may vary about the films of policies side by side."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from parrot_data.section import Section, Seed

Milliseconds = Annotated[int, Field(ge=20, le=60_000, multiple_of=10)]  # as a GIF counts


class FilmParams(Section):
    """Section `film` of params.yaml.

    Attributes:
        seed: of the episodes; with that of section `evaluate` these are its first ones.
        num_episodes: episodes 0, 1, ... of that seed, one after the other.
        height: of a panel, pixels; its width is as the world shows itself.
        max_frames: of an episode as long as the world allows, about; of a longer one than that,
            only every second step is shown, or every third, and the last.
        frame_ms: how long a frame is shown.
        hold_ms: how long the last one of an episode is.
        num_colors: of the palette that all frames share. Where the film would become too large,
            half of them, and half of these.
        max_kilobytes: of the file, in 1,000 bytes.
    """

    seed: Seed
    num_episodes: int = Field(ge=1, le=100)
    height: int = Field(ge=32, le=1024)
    max_frames: int = Field(ge=2, le=1000)
    frame_ms: Milliseconds
    hold_ms: Milliseconds
    num_colors: int = Field(ge=16, le=256)
    max_kilobytes: int = Field(ge=1, le=10**6)
