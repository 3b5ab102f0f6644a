"""Which episodes are wanted: a small language over what an entry says of an episode.

For example `task == "pick" and success and num_steps < 20`. It has comparisons, `in`, `and`, `or`,
`not`, parentheses, numbers, texts, lists of them, `True`, `False` and `None`. It is read with
Python's own parser, and nothing of it is ever run as Python. Facts are `facts.NAME`, or
`facts["any name"]`. A comparison with a fact that an episode lacks is false, but for `== None`; a
fact that no episode has is a mistake.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from parrot_data.errors import UserError
from parrot_data.stores.entries import EpisodeEntry

NAMES = ("task", "success", "failure", "terminated", "num_steps", "index")
FACTS = "facts"
MOST_LETTERS, MOST_LETTERS_SHOWN, MOST_DEPTH = 2000, 100, 50
MOST_NAMES_TOLD = 40  # of facts, in a sentence
_EQUALITY: Mapping[type, Callable[[Any, Any], bool]] = MappingProxyType(
    {ast.Eq: operator.eq, ast.NotEq: operator.ne}
)
_ORDER: Mapping[type, Callable[[Any, Any], bool]] = MappingProxyType(
    {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
)
_GRAMMAR = "write comparisons of names, numbers and texts, joined by and, or, not and in"


class _WrongError(Exception):
    """What is wrong with an expression, in a few words."""


def wanted(text: str, entries: Callable[[], Iterable[EpisodeEntry]]) -> bytes:
    """Which episodes a condition holds for.

    Args:
        text: the condition; see the module.
        entries: gives those of the episodes, as often as it is called.

    Returns:
        By place, 1 where it holds, else 0.

    Raises:
        UserError: it is no such condition, names what no entry has, compares what cannot be
            compared, or holds for none; the sentence lists what names there are.
    """
    try:
        tree = _parsed(text)
        missing = set(_checked(tree))
        is_wanted = bytearray()
        for entry in entries():
            missing = {place for place in missing if _fact(entry, place) is None}
            is_wanted.append(_truth_of(tree, entry))
        if missing:
            raise _WrongError(f"no episode has {'.'.join((FACTS, *min(missing)))}")
        if not any(is_wanted):
            raise _WrongError(f"it holds for none of {len(is_wanted)} episodes")
    except _WrongError as error:
        facts = sorted({name for entry in entries() for name in _facts_in(entry.facts)})
        told = ", ".join([*NAMES, *facts[:MOST_NAMES_TOLD]])
        raise UserError(f"--where {text[:200]!r}: {error}; the names are {told}.") from None
    return bytes(is_wanted)


def _truth_of(tree: ast.expr, entry: EpisodeEntry) -> bool:
    try:
        return _truth(tree, entry)
    except _WrongError as error:
        raise _WrongError(f"of episode {entry.index}, {error}") from None


def _parsed(text: str) -> ast.expr:
    if len(text) > MOST_LETTERS:
        raise _WrongError(f"it has more than {MOST_LETTERS} letters: write a shorter one")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", None) or type(error).__name__
        raise _WrongError(f"it cannot be read ({reason}): {_GRAMMAR}") from None


def _checked(node: ast.expr, depth: int = 0) -> Iterator[tuple[str, ...]]:
    """See that an expression has nothing but what the language has; yields the facts it names."""
    if depth > MOST_DEPTH:
        raise _WrongError("it is nested too deeply: write a simpler one")
    if isinstance(node, ast.Attribute | ast.Subscript):
        yield _place(node)
        return
    for part in _parts_of(node):
        yield from _checked(part, depth + 1)


def _parts_of(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            return parts
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return [operand]
        case ast.Compare(left=left, ops=ops, comparators=rights) if all(map(_is_known, ops)):
            return [left, *rights]
        case ast.Constant(value=None | bool() | int() | float() | str()):
            return []
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return []
        case ast.Name(id=name):
            if name not in NAMES:
                raise _WrongError(f"nothing is called {name}")
            return []
    raise _WrongError(f"{_shown(node)} is no part of it: {_GRAMMAR}")


def _is_known(how: ast.cmpop) -> bool:
    return isinstance(how, (*_EQUALITY, *_ORDER, ast.In, ast.NotIn))


def _place(node: ast.expr) -> tuple[str, ...]:
    """Keys that lead to a fact: of `facts.scene.size` they are scene and size."""
    keys: list[str] = []
    inner: ast.expr = node
    while True:
        match inner:
            case ast.Name(id=name) if name == FACTS:
                return tuple(reversed(keys))
            case ast.Attribute(value=value, attr=key):
                inner = value
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as key)):
                inner = value
            case _:
                raise _WrongError(f"{_shown(node)} is no fact: write {FACTS}.NAME")
        keys.append(key)


def _shown(node: ast.expr) -> str:
    try:
        return ast.unparse(node)[:MOST_LETTERS_SHOWN]
    except RecursionError:
        return "what is nested so deeply"


def _fact(entry: EpisodeEntry, place: tuple[str, ...]) -> Any:
    value: Any = entry.facts
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _truth(node: ast.expr, entry: EpisodeEntry) -> bool:
    """Value of what must be true or false.

    No part is passed over, as Python would: a mistake shows at the first episode.
    """
    match node:
        case ast.BoolOp(op=op, values=parts):
            truths = [_truth(part, entry) for part in parts]
            return all(truths) if isinstance(op, ast.And) else any(truths)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _truth(operand, entry)
        case ast.Compare(left=left, ops=ops, comparators=rights):
            values = [_value(each, entry) for each in (left, *rights)]
            pairs = zip(ops, values, values[1:], strict=False)
            truths = [_compared(node, *pair) for pair in pairs]
            return all(truths)
    value = _value(node, entry)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _WrongError(f"{_shown(node)} is {_kind(value)}, and not true or false")
    return value


def _value(node: ast.expr, entry: EpisodeEntry) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return getattr(entry, name)
        case ast.Attribute() | ast.Subscript():
            return _fact(entry, _place(node))
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_value(part, entry) for part in parts]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
    return _truth(node, entry)


def _compared(node: ast.expr, how: ast.cmpop, left: Any, right: Any) -> bool:
    if isinstance(how, ast.In | ast.NotIn):
        return _is_in(node, left, right) == isinstance(how, ast.In)
    if isinstance(how, ast.Eq | ast.NotEq) and (left is None or right is None):
        return _EQUALITY[type(how)](left, right)
    if left is None or right is None:
        return False
    kinds = _kind(left), _kind(right)
    is_comparable = isinstance(how, ast.Eq | ast.NotEq) or kinds[0] in ("a number", "a text")
    if kinds[0] != kinds[1] or not is_comparable:
        raise _WrongError(f"{_shown(node)} compares {kinds[0]} with {kinds[1]}")
    return {**_EQUALITY, **_ORDER}[type(how)](left, right)


def _is_in(node: ast.expr, left: Any, right: Any) -> bool:
    if right is None:
        return False
    if isinstance(right, str) and isinstance(left, str | None):
        return left is not None and left in right
    if not isinstance(right, list):
        raise _WrongError(
            f"{_shown(node)} looks for {_kind(left)} in {_kind(right)}, and not in a list"
        )
    return any(_kind(left) == _kind(each) and left == each for each in right)


def _kind(value: Any) -> str:
    for types, kind in (
        (bool, "true or false"), (int | float, "a number"), (str, "a text"), (list, "a list"),
        (dict, "a group of facts"),
    ):  # fmt: skip
        if isinstance(value, types):
            return kind
    return "nothing"


def _facts_in(facts: Mapping[str, Any], above: str = FACTS) -> Iterator[str]:
    for key, value in facts.items():
        name = f"{above}.{key}" if key.isidentifier() else f"{above}[{key!r}]"
        if isinstance(value, dict):
            yield from _facts_in(value, name)
        else:
            yield name
