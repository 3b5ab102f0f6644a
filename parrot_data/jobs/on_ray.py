"""Jobs on a Ray cluster: their inputs travel there, their outputs come back and are shown here.

A node unpacks each input once, by its content, and calls the same command that this machine would,
in folders that lie as they do here. Only this process writes where outputs are wanted.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parrot_data.cluster.board import Said, Tell
from parrot_data.cluster.connection import OnRay, connected
from parrot_data.cluster.folders import Packed, cached, find_cached, node_folder, packed_folder
from parrot_data.cluster.items import Outcome, hand_out
from parrot_data.cluster.same_world import TravellingWorld, check_world, travelling
from parrot_data.errors import UserError
from parrot_data.jobs.child import Child, stop
from parrot_data.jobs.job import Doing, Ended, Job, Listen
from parrot_data.jobs.layout import Layout, layout_of
from parrot_data.stores.outputs.layout import Output
from parrot_data.stores.outputs.work import Work, open_work
from parrot_data.worlds.params import EnvironmentParams

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """What jobs have in common.

    Attributes:
        module: the stage's, whose code must be the same on every node.
        output: what it writes.
        params: text of params.yaml that they are called with, which names no other file.
        environment: the world in it; None where the stage reads data alone.
        threads: of each job.
    """

    module: str
    output: Output
    params: str
    environment: EnvironmentParams | None
    threads: int


@dataclass(frozen=True)
class _Shared:
    """What tasks share; see `Kind`."""

    params: str
    threads: int
    world: TravellingWorld | None


@dataclass(frozen=True)
class _Sent:
    """A job on its way.

    Attributes:
        job: what to call.
        layout: where its folders lie.
        inputs: hashes of these by option.
        references: to their contents, by hash.
    """

    job: Job
    layout: Layout
    inputs: Mapping[str, str]
    references: Mapping[str, Any]


@dataclass(frozen=True)
class _Returned:
    """What a task returns: the output's files, or why there are none; and notes of the job."""

    out: Packed | None
    error: str
    notes: list[str]


def run_on_ray(
    jobs: Iterable[Job], kind: Kind, on: OnRay, listen: Listen
) -> Generator[Ended, None, None]:
    """Run jobs on a cluster; yield what becomes of each, in the order they end.

    The output folder of a job is held, as the stage would hold it, for as long as the job is in
    flight, and shown as the stage would show it.

    Args:
        jobs: drawn as places become free.
        kind: of all of them.
        on: the cluster, and what each is given of it.
        listen: see `Listen`.

    Raises:
        UserError: the cluster cannot be reached, or cannot run the same code.
    """
    world = None if kind.environment is None else travelling(kind.environment)
    shared = _Shared(kind.params, kind.threads, world)

    def listen_to(said: Mapping[str, Said]) -> None:
        listen({name: Doing(each.node, each.text) for name, each in said.items()})

    with connected(on.address, {}) as ray, ExitStack() as stack:
        sending = stack.enter_context(closing(_Sending(ray, kind)))
        outcomes = hand_out(
            ray, _run, shared, sending.opened(jobs), on,
            module=kind.module, name_of=lambda sent: sent.job.name, listen=listen_to,
        )  # fmt: skip
        stack.enter_context(closing(outcomes))
        for outcome in outcomes:
            yield from sending.refused()
            yield Ended(outcome.item.job, sending.shown(outcome))
        yield from sending.refused()


class _Sending:
    """The driver's side: inputs that are sent once, and output folders that are held.

    Args:
        ray: connected.
        kind: of jobs.
    """

    def __init__(self, ray: Any, kind: Kind) -> None:
        self._ray, self._kind = ray, kind
        self._packed: dict[Path, tuple[str, Any]] = {}
        self._held: dict[str, tuple[ExitStack, Work]] = {}
        self._refused: list[Ended] = []

    def opened(self, jobs: Iterable[Job]) -> Iterator[_Sent]:
        """Jobs to hand out, their outputs held; others are `refused`."""
        for job in jobs:
            try:
                sent = self._sent(job)
                fingerprint = {"job": job.command(), "inputs": dict(sent.inputs)}
                stack = ExitStack()
                work = open_work(job.out, self._kind.output, fingerprint, job.inputs.values())
                self._held[job.name] = stack, stack.enter_context(work)
            except (UserError, OSError) as error:
                self._refused.append(Ended(job, str(error)))
                continue
            yield sent

    def refused(self) -> list[Ended]:
        """Jobs that could not be sent, since it was asked last."""
        refused, self._refused = self._refused, []
        return refused

    def shown(self, outcome: Outcome[_Sent]) -> str:
        """Show the output of a job that has ended; why there is none, "" if there is one."""
        job = outcome.item.job
        stack, work = self._held.pop(job.name)
        try:
            with stack:
                if outcome.error is not None:
                    return str(outcome.error)
                returned: _Returned = outcome.value
                for note in returned.notes:
                    _log.info("%s: %s", job.name, note)
                if returned.out is None:
                    return returned.error
                returned.out.unpack(work.folder)
                work.publish()
        except (UserError, OSError) as error:
            return str(error)
        return ""

    def close(self) -> None:
        """Let go of the outputs of jobs that are still in flight."""
        for stack, _ in self._held.values():
            stack.close()
        self._held.clear()

    def _sent(self, job: Job) -> _Sent:
        of = {option: self._packed_once(path) for option, path in job.inputs.items()}
        hashes = {option: sha256 for option, (sha256, _) in of.items()}
        return _Sent(job, layout_of(job, Path.cwd()), hashes, dict(of.values()))

    def _packed_once(self, folder: Path) -> tuple[str, Any]:
        if folder not in self._packed:
            content = packed_folder(folder)
            self._packed[folder] = content.sha256, self._ray.put(content)
        return self._packed[folder]


def _run(shared: _Shared, sent: _Sent, tell: Tell) -> _Returned:
    """In a task: call a job's command in folders laid out as in the driver's machine."""
    if shared.world is not None:
        check_world(shared.world)
    notes: list[str] = []
    root = _folder_for_a_job()
    try:
        called_in, out = root / sent.layout.called_in, root / sent.layout.out
        called_in.mkdir(parents=True, exist_ok=True)
        if shared.world is not None:
            shared.world.modules.unpack(called_in)
        (called_in / "params.yaml").write_text(shared.params, encoding="utf-8")
        for option, place in sent.layout.inputs.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).symlink_to(_received(sent.inputs[option], sent.references))
        places = {sent.job.inputs[option]: root / p for option, p in sent.layout.inputs.items()}
        places[sent.job.out] = out
        child = Child(sent.job.command(places.__getitem__), called_in, shared.threads)
        try:
            error = child.follow(tell, notes.append)
        finally:
            stop([child])
        return _Returned(None if error else packed_folder(out), error, notes)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _folder_for_a_job() -> Path:
    """A new folder; those that processes which were killed have left on this node go."""
    jobs = node_folder() / "jobs"
    jobs.mkdir(exist_ok=True)
    for path in jobs.iterdir():
        try:
            os.kill(int(path.name.partition("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except PermissionError:  # it is another's by now
            continue
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=jobs))


def _received(sha256: str, references: Mapping[str, Any]) -> Path:
    """The folder of an input on this node; its content is only asked for if it is not there."""
    found = find_cached(sha256)
    if found is None:
        import ray  # noqa: PLC0415 - an extra

        found = cached(ray.get(references[sha256]))
    return found
