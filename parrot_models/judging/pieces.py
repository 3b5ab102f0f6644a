"""Measuring bit by bit: what a killed stage has measured is not measured again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from parrot_data.progress import Progress
from parrot_data.stores.proof import DamagedError, read_sealed, write_sealed

PIECES = "*.piece"  # scratch of a stage's work
_log = logging.getLogger(__name__)


def measured(
    measurements: Mapping[str, Callable[[], Any]], work: Path, progress: Progress
) -> list[Any]:
    """Make measurements in order, each of which leaves its result in the work folder.

    Args:
        measurements: by what each is called, for the progress; each gives a JSON value.
        work: folder of unfinished work, always of the same measurements.
        progress: called before each measurement and at the end.

    Returns:
        A value a measurement.
    """
    places = [work / f"{number}.piece" for number in range(len(measurements))]
    is_whole = [_is_whole(piece) for piece in places]
    if any(is_whole):
        _log.info("goes on with %d of %d measurements done", sum(is_whole), len(places))
    values = []
    for done, ((name, measure), piece) in enumerate(zip(measurements.items(), places, strict=True)):
        progress(done, len(places), name)
        if not is_whole[done]:
            write_sealed(piece, measure())
        values.append(read_sealed(piece))
    progress(len(places), len(places), "")
    return values


def _is_whole(piece: Path) -> bool:
    if not piece.exists():
        return False
    try:
        read_sealed(piece)
    except DamagedError as error:
        _log.warning("%s %s: what it held is measured again.", piece, error)
        return False
    return True
