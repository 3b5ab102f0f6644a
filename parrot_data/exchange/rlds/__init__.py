"""RLDS: TFRecords as tensorflow_datasets stores them, an episode a record, images as PNG in it."""

from __future__ import annotations

from parrot_data.exchange.format import Format, Holds
from parrot_data.exchange.rlds.layout import PREFIX
from parrot_data.exchange.rlds.reading import files_of, open_recording
from parrot_data.exchange.rlds.writing import write

FORMAT = Format(
    name="rlds",
    title="[RLDS](https://github.com/google-research/rlds) of TensorFlow Datasets",
    layout=f"`{PREFIX}NAME/1.0.0`, TFRecords",
    makes=(f"{PREFIX}*",),
    files_of=files_of,
    open_recording=open_recording,
    write=write,
    holds=Holds(observations="all", rewards=True, terminated=True, task=True, success=True),
    says_bounds=False,
)
