"""A command that torchrun started several times: ranks of one training, which tell things once."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from cli.console import print_if_read

if TYPE_CHECKING:
    import torch

    from parrot_models.training.ranks import Ranks

# A rank that dies closes its connections, and no other waits for it; this is how long one may take
# for what it alone does, such as decoding the shards.
LONGEST_WAIT_H = 12
_TOLD = "parrot: told"
_OF_CONNECTIONS = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")


@contextmanager
def ranks_of(device: str) -> Iterator[tuple[Ranks, torch.device]]:
    """The processes that torchrun started for this command, and the device of this one.

    What goes wrong is told by whichever of them it happens to first, and ends all.

    Args:
        device: as `named_device` takes it; of several processes, "cuda" is a GPU for each.
    """
    import torch
    from torch import distributed

    from parrot_models.networks.device import named_device
    from parrot_models.training.ranks import ALONE, Ranks

    count = int(os.environ["WORLD_SIZE"]) if distributed.is_torchelastic_launched() else 1
    if count == 1:
        yield ALONE, named_device(device)
        return
    from datetime import timedelta

    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if distributed.is_nccl_available() else "gloo",
        timeout=timedelta(hours=LONGEST_WAIT_H),
    )
    ranks = Ranks(distributed.get_rank(), count)
    with _told_once(ranks):
        where = named_device(f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device)
        if where.type == "cuda":
            torch.cuda.set_device(where)
        yield ranks, where
        ranks.wait()
    distributed.destroy_process_group()


@contextmanager
def _told_once(ranks: Ranks) -> Iterator[None]:
    from cli.signals import exit_code_of, sentence_of
    from parrot_data.errors import UserError

    try:
        yield
    except BaseException as error:
        _end_is_near()
        if not _is_first_to_tell():
            code = exit_code_of(error) if isinstance(error, KeyboardInterrupt) else 1
            raise typer.Exit(code) from None
        if isinstance(error, KeyboardInterrupt):
            print_if_read(f"error: {sentence_of(error)}", is_error=True)
            raise typer.Exit(exit_code_of(error)) from None
        if isinstance(error, UserError):
            place = "" if ranks.is_first else f" ({_who(ranks)})"
            print_if_read(f"error: {error}{place}", is_error=True)
        elif _is_of_connection(error):
            print_if_read(
                f"error: another process of this training has ended, as {_who(ranks)} noticed: "
                "the same command goes on from the last checkpoint",
                is_error=True,
            )
        else:
            raise
        raise typer.Exit(1) from None


def _who(ranks: Ranks) -> str:
    return f"process {ranks.rank} of {ranks.count}, on {socket.gethostname()}"


def _is_of_connection(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _OF_CONNECTIONS)


def _is_first_to_tell() -> bool:
    """Whether no process has told anything yet; from now on, one has."""
    from torch import distributed

    try:
        store = distributed.distributed_c10d._get_default_store()
        return bool(store.add(_TOLD, 1) == 1)
    except RuntimeError:  # the store has gone, with whoever keeps it
        return True


def _end_is_near() -> None:
    """Do not be interrupted while telling: torchrun ends all as soon as one has ended."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
