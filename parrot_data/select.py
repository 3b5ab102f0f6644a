"""Select episodes of a dataset by what its entries say, into a new dataset of the same kind.

The source is only read. What an edit keeps of an episode, and what its index then means, says
`parrot_data.stores.edits`.
"""

from __future__ import annotations

from pathlib import Path

from parrot_data.edited import write_edited
from parrot_data.progress import Progress, silent
from parrot_data.section import Section
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.edits import open_source, origin_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.picked import Picked
from parrot_data.stores.sources import code_of
from parrot_data.stores.where import wanted

EDIT = "select"


class SelectParams(Section):
    """What is selected.

    Attributes:
        where: the condition; see `parrot_data.stores.where`.
    """

    where: str


def select(
    params: SelectParams, dataset: Path, out: Path, *, progress: Progress = silent
) -> dict[str, object]:
    """Write the episodes that a condition holds for, in their order, as a new dataset.

    An interrupted call leaves nothing but `<out>.partial`; the next one starts anew.

    Args:
        params: which.
        dataset: episodes or shards.
        out: folder of the result; an earlier one of this command is replaced at the end.
        progress: called after each episode, once a store.

    Returns:
        num_episodes, and of how many.

    Raises:
        UserError: the dataset is missing or damaged, the condition is none or holds for no episode,
            or `open_work` refuses `out`.
    """
    source = open_source(dataset)
    plain = params.model_dump()
    fingerprint = {"params": plain, "parent": source.sha256, "code": code_of(__name__)}
    output = dataset_output(EDIT, source.manifest.kind, edit=EDIT)
    with open_work(out, output, fingerprint, [dataset]) as work:
        picked = Picked([source.picked(wanted(params.where, source.entries))])
        write_edited(work.folder, picked, origin_of([source], EDIT, plain), progress)
        work.publish()
    return {"num_episodes": len(picked), "of": source.manifest.num_episodes}
