"""A connection to a Ray cluster: one that runs already, or one of this machine alone.

Ray does the scheduling: which node works on what, and again elsewhere when one is lost. Parrot has
no scheduler of its own. It is an extra, `pip install 'parrot-priors[ray]'`, and imported in here.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from parrot_data.errors import UserError
from parrot_data.interruption import ENDING
from parrot_data.machine import available_cores

LOCAL, AUTO = "local", "auto"
_ANSWER_S = 5.0  # for which a machine may keep a new connection waiting


@dataclass(frozen=True)
class OnRay:
    """Where items are worked on, and with what: options of the command line.

    Attributes:
        address: "local" for a cluster of this machine that ends with the command, "auto" for the
            one that runs here, or HOST:PORT of one that this machine is a node of.
        cpus: that each item is given.
        gpus: that each item is given; parts of one are possible.
    """

    address: str
    cpus: float = 1.0
    gpus: float = 0.0


@contextmanager
def connected(address: str, variables: Mapping[str, str]) -> Iterator[Any]:
    """Connect to a cluster for as long as the block lasts; gives Ray's module.

    Args:
        address: see `OnRay`.
        variables: of the environment that processes of the cluster start with.

    Raises:
        UserError: Ray is not installed, or no cluster answers at the address.
    """
    try:
        import ray  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise UserError(
            "--ray: Ray is not installed: install the extra of that name, "
            "pip install 'parrot-priors[ray]'"
        ) from None
    _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of a cluster started here
    options: dict[str, Any] = {"address": address, "log_to_driver": False}
    if address == LOCAL:
        options |= {"num_cpus": available_cores(), "include_dashboard": False}
        # Not behind all else on this machine, as Ray would have it
        options["_system_config"] = {"worker_niceness": 0}
    if variables:
        options["runtime_env"] = {"env_vars": dict(variables)}
    try:
        with _own_signals():
            ray.init(**options, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises it bare where a node does not start in time
        raise UserError(
            f"--ray {address}: no cluster can be reached ({_first_line(error)}): start one with "
            "`ray start --head`, join it from this machine, or name `local`"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """See that somebody listens at HOST:PORT; Ray itself would try for minutes."""
    if address in (LOCAL, AUTO):
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal() or int(port) > 65535:
        raise UserError(
            f"--ray {address[:60]!a} is no address of a cluster: give HOST:PORT as `ray start` "
            "prints it, auto or local"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except OSError as error:
        raise UserError(
            f"--ray {address}: nothing answers there ({error.strerror or error}): start the "
            "cluster with `ray start --head`, or correct the address"
        ) from None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's own answers to signals that ask to end, in place of Ray's."""
    before = {signum: signal.getsignal(signum) for signum in ENDING}
    try:
        yield
    finally:
        for signum, handler in before.items():
            if handler is not None and signal.getsignal(signum) is not handler:
                signal.signal(signum, handler)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
