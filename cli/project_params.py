"""params.yaml of a project: this repository's own, changed for another world or for data there are.

The text of the default stays as it is, comments too, but for what differs.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from cli.params import KINDS, WHOLE
from cli.project_templates import template
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError

MARK = "FILL IN"
TABLETOP, GYMNASIUM, METAWORLD = "tabletop", "gymnasium", "metaworld"
FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
MY_TASK = "my-task"
NO_WORLD = f"""\
environment:  # where agents would learn; no stage of this project does
  name: "my_robot:make_world"  # {MARK} once there is a world
  kwargs: {{}}
"""
OF_GYMNASIUM = f"""\
environment:
  name: gymnasium
  tasks:
    {MY_TASK}:  # {MARK}: a name, and an id for each task
      id: "my_package:MyTask-v0"  # {MARK}: the module that registers it, and its id
      kwargs: {{}}
  success: {{info: is_success}}  # {MARK}: or {{reward_at_least: R}}
  max_steps: null  # the registered limit
"""
OF_A_FACTORY = f"""\
environment:
  name: "{{name}}"
  kwargs: {{{{}}}}  # {MARK}: what it is called with
"""
WITHOUT_IMAGES: dict[str, Any] = {"augment": [], "encoder": {"kind": "vector"}}
SEEING = ("keypoints", "train_prior", "pretrain")
PARTS_THAT_SEE = ("bc", "trajectories", "options")


@dataclass
class Changes:
    """What differs from the default.

    Attributes:
        environment: text of that section; None where it is the default's.
        values: by section.
        notes: what to say behind a value, by section and key.
    """

    environment: str | None = None
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: dict[tuple[str, str], str] = field(default_factory=dict)


def params_text(
    environment: str | None, spec: EpisodeSpec | None = None, tasks: Sequence[str] = ()
) -> str:
    """The whole of params.yaml, each value that only the user knows marked by MARK.

    Args:
        environment: tabletop, gymnasium, metaworld or package.module:factory; None for no world.
        spec: of data that are there already; what sees is then chosen by it.
        tasks: of those data.

    Raises:
        UserError: `environment` is none of these.
    """
    changes = _of_world(environment)
    if spec is not None:
        if spec.images:
            others = {k: values for k, values in changes.values.items() if k not in SEEING}
            changes.values = {**others, **_of_images(spec)}
        else:
            changes.values = {**_sees_vectors(), **changes.values}
        changes.notes = {k: note for k, note in changes.notes.items() if k[0] not in SEEING}
        changes.values["generate"] = {"tasks": dict.fromkeys(tasks, 1.0)}
        changes.notes["generate", "tasks"] = "of the data: no stage generates any"
    return "\n".join(_changed(text, changes) for text in _sections(template("params.yaml")))


def to_fill_in(text: str) -> list[str]:
    """What a params.yaml marks as the user's to say: a key of a section and the note behind it."""
    found, section = [], ""
    for line in text.splitlines():
        if top := re.match(r"[a-z_]+(?=:)", line):
            section = top[0]
        if MARK in line and (key := re.match(r"\s*([\w-]+):", line)):
            note = line.partition(MARK)[2].lstrip(": ") or "it is yours"
            found.append(f"{section}, {key[1]}: {note}")
    return found


def _of_world(environment: str | None) -> Changes:
    if environment == TABLETOP:
        return Changes()
    if environment == METAWORLD:
        return _of_metaworld()
    changes = Changes(values=_unseen_world())
    if environment is None:
        changes.environment = NO_WORLD
        return changes
    if environment != GYMNASIUM and not FACTORY.fullmatch(environment):
        raise UserError(
            f"--environment {environment!a} is none of {TABLETOP}, {GYMNASIUM}, {METAWORLD} and "
            "package.module:factory: name one of these"
        )
    changes.environment = OF_A_FACTORY.format(name=environment)
    changes.notes = {
        ("train_prior", "encoder"): f"{MARK}: vector is for data without images; fast sees them",
        ("keypoints", "kind"): f"{MARK}: none without images; reconstruction, as Parrot's default",
        ("generate", "tasks"): f"{MARK}: a weight for each task of the demonstrations",
        ("finetune", "tasks"): f"{MARK}: what agents are to learn",
        ("finetune", "video_episodes"): "where the world renders, how many to film",
        ("judge", "families"): "kinds of unseen scenes, where the world has any",
    }
    if environment == GYMNASIUM:
        changes.environment = OF_GYMNASIUM
        changes.notes["generate", "tasks"] = "of the data: no stage generates any"
        del changes.notes["judge", "families"]
    return changes


def _unseen_world() -> dict[str, dict[str, Any]]:
    """Of a world that nothing is known of but its name: vectors alone, and no unseen scenes."""
    return {
        **_sees_vectors(),
        "generate": {"tasks": {MY_TASK: 1.0}},
        "judge": {"families": [], "probe": None},
        "finetune": {"tasks": [MY_TASK], "video_episodes": 0},
        "explore": {"families": []},
    }


def _of_metaworld() -> Changes:
    """What the study of Meta-World has, for one task, one seed, and no baseline but SAC."""
    text = template("metaworld.yaml")
    values = yaml.safe_load(text)
    environment = next(t for t in _sections(text) if t.startswith("environment:"))
    values["finetune"] |= {
        "tasks": ["door-lock"], "methods": ["parrot", "sac"], "parts": [], "seeds": ["0"],
    }  # fmt: skip
    del values["extends"], values["environment"]
    return Changes(environment, values)


def _of_images(spec: EpisodeSpec) -> dict[str, dict[str, Any]]:
    """What can see the images of data: the default's, or what needs neither camera nor tool."""
    augment = ["mirror", "colors"] if spec.mirror else ["colors"]
    if spec.tool_is_told and spec.cameras:
        return {
            "train_prior": {"augment": augment},
            "pretrain": {part: {"augment": augment} for part in ("vae", *PARTS_THAT_SEE)},
        }
    seen = {"augment": augment, "encoder": {"kind": "fast", "feature_dim": 128}}
    return {
        "train_prior": seen,
        "pretrain": {"vae": {"augment": augment}, **dict.fromkeys(PARTS_THAT_SEE, seen)},
    }


def _sees_vectors() -> dict[str, dict[str, Any]]:
    return {
        "keypoints": {"kind": "none"},
        "train_prior": WITHOUT_IMAGES,
        "pretrain": {"vae": {"augment": []}, **dict.fromkeys(PARTS_THAT_SEE, WITHOUT_IMAGES)},
    }


def _sections(text: str) -> list[str]:
    """A params file, cut where sections begin: comments above one belong to it."""
    return [f"{part.rstrip()}\n" for part in re.split(r"\n\n(?=(?:#.*\n)*[a-z_]+:)", text)]


def _changed(text: str, changes: Changes) -> str:
    found = re.search(r"^[a-z_]+(?=:)", text, re.MULTILINE)
    name = found[0] if found else ""
    if name == "environment" and changes.environment is not None:
        return changes.environment
    notes = {key: note for (section, key), note in changes.notes.items() if section == name}
    if name not in changes.values and not notes:
        return text
    reader = YAML()
    reader.width = 1000  # a line a value
    reader.preserve_quotes = True
    reader.representer.add_representer(type(None), _null)
    document = reader.load(text)
    _change(document[name], changes.values.get(name, {}))
    for key, note in notes.items():
        document[name].yaml_add_eol_comment(f"# {note}", key)
    written = io.StringIO()
    reader.dump(document, written)
    return written.getvalue()


def _change(values: CommentedMap, changes: Mapping[str, Any]) -> None:
    """Change some values of a section, mappings in it key by key, as `extends` does."""
    if any(
        values.get(key, changes.get(key)) != changes.get(key) for key in KINDS if key in changes
    ):
        values.clear()
    for key, value in changes.items():
        inner = values.get(key)
        if isinstance(value, Mapping) and isinstance(inner, CommentedMap) and key not in WHOLE:
            _change(inner, value)
        elif key not in values or inner != value:
            values[key] = _in_a_line(value)
            values.ca.items.pop(key, None)  # what the comment says is of the default


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _in_a_line(value: Any) -> Any:
    """A list or mapping as YAML that is written in a line, as the default has them."""
    return YAML().load(json.dumps(value)) if isinstance(value, list | dict) else value
