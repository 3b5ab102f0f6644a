"""Command `card`: the page that travels with a dataset, a prior or a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import print_if_read
from cli.paths import folder_to_read, folder_to_write

if TYPE_CHECKING:
    from parrot_data.stores.outputs.layout import Output

STAMP = "card.json"  # tells a folder of this command from a user's


def card(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A dataset, a prior, or a run of finetune.",
            callback=folder_to_read,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder to write the page and its image in; without, the page is printed.",
            callback=lambda path: path and folder_to_write(path),
        ),
    ] = None,
    license_id: Annotated[
        str | None, typer.Option("--license", metavar="ID", help="As the hub spells it.")
    ] = None,
) -> None:
    """Make the card of an output: metadata for the hub, contents, use, limits, lineage.

    What shard, train-prior and finetune made holds its own already; nothing in PATH is changed.
    """
    page, images = _card_of(path, license_id)
    if out is None:
        typer.echo(page, nl=False)
        return
    from parrot_data.stores.outputs.work import open_work
    from parrot_data.stores.publish import write_json

    with open_work(out, _output(), {"page": page}, [path]) as work:
        (work.folder / "README.md").write_text(page, encoding="utf-8")
        for name, content in images.items():
            (work.folder / name).write_bytes(content)
        write_json(work.folder / STAMP, {"card": {"files": sorted(["README.md", *images])}})
        work.publish()
    print_if_read(f"wrote {out / 'README.md'}")


def _output() -> Output:
    from parrot_data.stores.outputs.layout import output_of

    return output_of("card", STAMP, keys=("card.files",), files=("README.md", "*.png", "*.gif"))


def _card_of(path: Path, license_id: str | None) -> tuple[str, dict[str, bytes]]:
    """The page, and by name the images that it shows.

    Raises:
        UserError: it is none of these, or damaged.
    """
    from parrot_data.cards.dataset_card import dataset_card
    from parrot_data.cards.front_matter import UNKNOWN_LICENSE
    from parrot_data.errors import UserError
    from parrot_data.stores.card_files import IMAGE
    from parrot_data.stores.manifest import MANIFEST

    if not path.exists():
        raise UserError(f"{path} does not exist: name an output of a stage, such as data/shards")
    if not (path / MANIFEST).exists():
        return _card_of_a_model(path, license_id or UNKNOWN_LICENSE)
    page, image = dataset_card(path, license_id)
    return page, {IMAGE: image}


def _card_of_a_model(path: Path, license_id: str) -> tuple[str, dict[str, bytes]]:
    from parrot_data.episodes.spec import EpisodeSpec
    from parrot_data.errors import UserError
    from parrot_data.stores.publish import read_json
    from parrot_data.stores.seal import SEAL, check_seal, is_sealed
    from parrot_models.cards.prior_card import prior_card
    from parrot_models.cards.run_card import FILM, run_card

    kinds = "a dataset, or what train-prior or finetune wrote"
    if not is_sealed(path):
        raise UserError(f"{path} is no output that has a card (it lacks {SEAL}): name {kinds}")
    check_seal(path, "dvc repro")
    config, metrics = read_json(path / "config.json"), read_json(path / "metrics.json")
    if {"method", "prior_sha256"} <= config.keys():
        film = path / FILM
        page = run_card(config, metrics, is_filmed=film.exists(), license_id=license_id)
        return page, {FILM: film.read_bytes()} if film.exists() else {}
    if "train_prior" not in config.get("params", {}):
        raise UserError(f"{path} is of a kind that has no card: name {kinds}")
    spec = EpisodeSpec.model_validate(config["spec"])
    return prior_card(spec, config, metrics, license_id), {}
