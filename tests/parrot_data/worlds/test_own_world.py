"""Worlds of a user's own: a factory of a module that params name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from parrot_data.episodes.rollout import roll_out
from parrot_data.errors import UserError
from parrot_data.worlds.make import code_of_world, make_world
from parrot_data.worlds.params import EnvironmentParams, names_in

WORLD = """
from tests.toy_world import ToyWorld

class World(ToyWorld):
    {line}

def make(**kwargs):
    return World(**kwargs)

def unhappy():
    raise KeyError("the table")

def deep():
    def deeper():
        raise RuntimeError("no\\nrobot")
    deeper()

def nothing():
    return None

class Alone:
    spec, tasks = 3, ()

number = 3
"""


def own(name: str, **kwargs: object) -> EnvironmentParams:
    return TypeAdapter(EnvironmentParams).validate_python({"name": name, "kwargs": kwargs})


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a module, of another name each time, into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write_module(line: str = "pass", text: str = WORLD) -> str:
        name = f"own_{tmp_path.name}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(text.format(line=line))
        return name

    return write_module


def test_a_factory_of_the_users_own_is_a_world() -> None:
    params = own("tests.toy_world:make_world", action_dim=1, images={"camera": [9, 14]})
    world = make_world(params)
    assert world.spec.action.dim == 1
    assert world.spec.images["camera"].shape == (9, 14, 3)
    assert world.demonstrator() is not None
    env = world.make_env(world.tasks[0])
    rolled = roll_out(env, lambda _env: lambda _seen: np.ones(1, np.float32), 0)
    world.spec.check_observation(rolled.observations[-1], "a step")
    assert names_in(params) is None


def test_a_module_of_the_working_directory_is_found_and_is_part_of_the_fingerprint(write) -> None:
    params = own(f"{write()}:make", max_steps=7)
    world = make_world(params)
    assert world.max_steps == 7
    code = code_of_world(params, world)
    assert list(code["sources"]) == [params.name.partition(":")[0]]
    assert code["spec"] == world.spec.model_dump()


@pytest.mark.parametrize(
    ("factory", "kwargs", "sentence"),
    [
        ("makes", {}, r"own_\w+ has no makes: correct the name"),
        ("make", {"wings": 2}, r"make failed \(TypeError: .*wings"),
        ("unhappy", {}, r"unhappy failed \(KeyError: 'the table', own_\w+.py line 11\)"),
        ("deep", {}, r"deep failed \(RuntimeError: no, own_\w+.py line 15\)"),
        ("number", {}, r"number failed \(TypeError: 'int' object is not callable"),
        ("nothing", {}, "gives a NoneType without spec, max_steps, tasks, families, make_env"),
        ("Alone", {}, "gives a Alone without max_steps, families, make_env, unseen, demonstrator"),
    ],
)
def test_a_factory_that_gives_no_world_is_said_in_one_sentence(
    write, factory: str, kwargs: dict, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        make_world(own(f"{write()}:{factory}", **kwargs))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("spec = property(lambda self: {}, lambda self, value: None)",
         "gives a World whose spec is a dict: make it an EpisodeSpec"),
        ("demonstrator = None", "gives a World without demonstrator"),
        ("unseen = 3", "gives a World without unseen"),
        ("tasks = 'reach-near'", "whose tasks are 'reach-near': make them a list of names"),
        ("tasks = 3", "whose tasks are 3"),
        ("families = (1, 2)", "whose families are"),
        ("max_steps = property(lambda self: 0, lambda self, value: None)", "max_steps is 0"),
        ("max_steps = property(lambda self: None, lambda self, value: None)", "max_steps is None"),
    ],
)  # fmt: skip
def test_a_world_that_lacks_a_member_is_said_in_one_sentence(
    write, line: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        make_world(own(f"{write(line)}:make"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import no_such_simulator\n", r"cannot be imported \(ModuleNotFoundError: .*no_such_sim"),
        ("def make(:\n", r"cannot be imported \(SyntaxError"),
        ("1 / 0\n", r"cannot be imported \(ZeroDivisionError: division by zero, own_\w+.py line 1"),
        ("import os\nos.nothing\n", r"cannot be imported \(AttributeError: .*nothing"),
    ],
)
def test_a_module_that_cannot_be_imported_is_said(write, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        make_world(own(f"{write(text=text)}:make"))


def test_a_module_that_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match="no_such_module cannot be imported"):
        make_world(own("no_such_module:make"))
    with pytest.raises(UserError, match="has no make_worlds"):
        make_world(own("tests.toy_world:make_worlds"))


@pytest.mark.parametrize("name", ["tabletopp", "a:b:c", ":make", "a.b", "../a:make", 3, None])
def test_a_name_that_can_be_none_is_refused_by_params(name: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(EnvironmentParams).validate_python({"name": name, "kwargs": {}})
