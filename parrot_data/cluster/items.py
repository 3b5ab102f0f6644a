"""Independent items, worked on by the nodes of a cluster; their results come back as they end.

A task gets one item and a payload that all items share, and returns a value through Ray's object
store: no file system is shared, and only the driver writes. What a lost node was working on is
worked on again by another.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from parrot_data.cluster.board import Board, Said, Tell
from parrot_data.cluster.connection import OnRay
from parrot_data.cluster.sameness import NodeDiffersError, difference, what_runs_here
from parrot_data.errors import UserError

Item = TypeVar("Item")

# In a task: makes an item's value of the payload and the item; all three are picklable.
Work = Callable[[Any, Item, Tell], Any]
# In the driver, every few seconds: what is said of the items in flight, by their names.
Listen = Callable[[Mapping[str, Said]], None]

RETRIES = 5  # of an item whose node or process was lost
_WAIT_S = 2.0


@dataclass(frozen=True)
class Outcome(Generic[Item]):
    """What became of an item.

    Attributes:
        item: it.
        node: address of the machine that worked on it.
        value: what its task returned, None where it failed.
        error: what it failed of: a UserError or an OSError that the task raised, a UserError if
            its process was lost again and again, or a RuntimeError with the task's traceback.
    """

    item: Item
    node: str
    value: Any
    error: Exception | None = None


def hand_out(
    ray: Any,
    work: Work[Item],
    payload: Any,
    items: Iterable[Item],
    on: OnRay,
    *,
    module: str,
    name_of: Callable[[Item], str],
    listen: Listen | None = None,
) -> Generator[Outcome[Item], None, None]:
    """Have every item worked on by a cluster; yield what becomes of each, in the order they end.

    So many are in flight as the cluster can work on at once, and as many again that wait for a
    place: results are large. Items are drawn from their iterable as places become free. When this
    generator is closed, what is in flight is cancelled.

    Args:
        ray: connected.
        work: of a module that every node can import.
        payload: what all items share, or references to it; put into the object store once.
        items: to work on.
        on: what each item is given.
        module: the stage's, whose code and libraries every node must have as this process has.
        name_of: an item in words, no two of them alike.
        listen: see `Listen`; None where items are too short to be watched.

    Raises:
        UserError: no node has what an item is to be given, or a node cannot run the same code.
    """
    places = _places(ray, on)
    if not places:
        raise UserError(
            f"--ray {on.address}: no node has {on.cpus:g} CPUs and {on.gpus:g} GPUs for one "
            "item: give it less with --cpus or --gpus, or start such a node"
        )
    wanted = dict(what_runs_here(module))
    board = None if listen is None else Board(ray)
    shared = ray.put(payload)
    task = ray.remote(_task).options(num_cpus=on.cpus, num_gpus=on.gpus, max_retries=RETRIES)
    waiting, flying = iter(items), dict[Any, Item]()
    is_over = False
    try:
        while flying or not is_over:
            while not is_over and len(flying) < 2 * max(1, places):
                for item in waiting:
                    told = (name_of(item), board and board.actor)
                    flying[task.remote(module, wanted, work, shared, item, told)] = item
                    break
                else:
                    is_over = True
            ended = ray.wait(list(flying), num_returns=1, timeout=_WAIT_S)[0] if flying else []
            for reference in ended:
                outcome = _outcome(ray, reference, flying.pop(reference), name_of)
                del reference  # or its value stays in the object store
                yield outcome
            if board is not None and listen is not None:
                said, names = board.read(), {name_of(item) for item in flying.values()}
                listen({name: said[name] for name in said if name in names})
            places = _places(ray, on)
    finally:
        for reference in flying:
            ray.cancel(reference, force=True)


def _places(ray: Any, on: OnRay) -> int:
    """How many items the nodes that are alive can work on at once."""
    total = 0
    for node in ray.nodes():
        has = node["Resources"] if node["Alive"] else {}
        fits = [has.get("CPU", 0) / on.cpus] if on.cpus else []
        fits += [has.get("GPU", 0) / on.gpus] if on.gpus else []
        total += int(min(fits)) if fits else bool(has)
    return total


def _outcome(ray: Any, reference: Any, item: Item, name_of: Callable[[Item], str]) -> Outcome[Item]:
    try:
        kind, value, node = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # `_task` lets nothing through: it could not even be imported, or what it was given
        lines = str(error).strip().splitlines() or ["no reason told"]
        raise UserError(
            f"node {error.ip} cannot run Parrot ({lines[-1]}): install the same Parrot there, in "
            "the environment that `ray start` was called in"
        ) from error
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        lost = UserError(
            f"{name_of(item)}: its process was lost {RETRIES + 1} times, or its result "
            f"({lines[0].rstrip('.')}): memory that runs out is the most frequent reason; give it "
            "more --cpus, so that fewer share a node"
        )
        return Outcome(item, "", None, lost)
    if kind == "refused":
        raise UserError(value)
    if kind == "value":
        return Outcome(item, node, value)
    of_kind: dict[str, Callable[[Any], Exception]] = {
        "user_error": UserError,
        "system": lambda arguments: OSError(*arguments),
        "defect": lambda text: RuntimeError(f"a task failed:\n{text}"),
    }
    return Outcome(item, node, None, of_kind[kind](value))


def _task(
    module: str,
    wanted: Mapping[str, str],
    work: Work[Item],
    payload: Any,
    item: Item,
    told: tuple[str, Any],
) -> tuple[str, Any, str]:
    """In a task: the kind of what came of an item, that, and the node."""
    (name, board), node = told, node_here()

    def tell(text: str) -> None:
        if board is not None:
            board.tell.remote(name, node, text)

    try:
        differs = difference(wanted, what_runs_here(module))
        if differs:
            raise NodeDiffersError(node, differs)
        tell("")
        return "value", work(payload, item, tell), node
    except NodeDiffersError as error:
        return "refused", str(error), node
    except UserError as error:
        return "user_error", str(error), node
    except OSError as error:
        return "system", (error.errno, error.strerror, error.filename), node
    except Exception:  # noqa: BLE001 - whatever it is, it is raised again in the driver
        return "defect", traceback.format_exc(), node


def node_here() -> str:
    """In a task: address of its node."""
    import ray  # noqa: PLC0415 - an extra

    return str(ray.util.get_node_ip_address())
