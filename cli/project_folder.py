"""The folder of a project: what `parrot init` writes there, and what it leaves alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.project_lock import lock_text, read_lock, requirement
from cli.project_params import FACTORY, GYMNASIUM, TABLETOP, params_text, to_fill_in
from cli.project_pipeline import EPISODES, LOCK, SHARDS, Shape, pipeline_text, stages_of
from cli.project_templates import template
from parrot_data.errors import UserError, told
from parrot_data.stores.manifest import Manifest, load_any_manifest
from parrot_data.stores.publish import replace_synced, sha256_file

PARAMS, PIPELINE, PAGE = "params.yaml", "dvc.yaml", "README.md"
IGNORED = {".gitignore": "gitignore", ".dvcignore": "dvcignore"}
OF_DVC = "# Add patterns of files dvc should ignore"  # of the .dvcignore that `dvc init` writes
CONFIG = "[core]\n    analytics = false\n    check_update = false\n"
PLAIN = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*")  # a path as stages' commands take


@dataclass(frozen=True)
class _Data:
    """A dataset that a project begins with.

    Attributes:
        source: where it lies now.
        path: where it will, below the project.
        manifest: the dataset's.
        tasks: of its episodes.
    """

    source: Path
    path: str
    manifest: Manifest
    tasks: list[str]


def make_project(folder: Path, environment: str | None, data: Path | None) -> list[str]:
    """Write a project, in a repository of git and DVC that is made where there is none.

    Args:
        folder: absent, or without any of the files to be written.
        environment: as `params_text` takes it; by default the tabletop's, or none beside data.
        data: a dataset to begin with, of episodes or shards; one that lies elsewhere is copied.

    Returns:
        What is left to be filled in, a line each.

    Raises:
        UserError: a file to be written is there already, the dataset is none, the environment is
            unknown, or git is missing.
    """
    root = Path(os.path.realpath(folder))
    found = None if data is None else _dataset(data, root)
    chosen = environment or (TABLETOP if found is None else None)
    if found is None:
        params = params_text(chosen)
    else:
        params = params_text(chosen, found.manifest.spec, found.tasks)
    shape = _shape(root, chosen, found)
    pipeline, open_ends = pipeline_text(shape), to_fill_in(params)
    texts = {
        PARAMS: params,
        PIPELINE: pipeline,
        LOCK: lock_text(shape, pipeline),
        PAGE: _page(shape, found, open_ends),
    }
    ignored = {name: template(source) for name, source in IGNORED.items()}
    _check_free(root, folder, texts, ignored)
    if shutil.which("git") is None:
        raise UserError("git is not on PATH, and a project is a repository of it: install git")
    with _told_of(folder):
        root.mkdir(parents=True, exist_ok=True)
        _begin_repositories(root)
        for name, text in {**texts, **_not_held(root, ignored)}.items():
            (root / name).write_text(text, encoding="utf-8")
        if found is not None:
            _take_in(root, found)
    return open_ends


def upgrade_project(folder: Path) -> list[str]:
    """Lock the Parrot that is installed; write dvc.yaml anew, unless it was edited.

    Returns:
        What is left to the user, a sentence each.

    Raises:
        UserError: the folder is no project.
    """
    from cli.params import Sections

    lock, path = read_lock(folder / LOCK), folder / PIPELINE
    try:
        shape = Shape(**lock["pipeline"])
        pipeline = pipeline_text(shape)
    except (TypeError, KeyError) as error:
        raise UserError(f"{folder / LOCK}: pipeline is not as `parrot init` writes it") from error
    notes = []
    is_ours = path.exists() and sha256_file(path) == lock["dvc_yaml_sha256"]
    if is_ours:
        _replace(path, pipeline)
    elif not path.exists() or path.read_text(encoding="utf-8") != pipeline:
        notes.append(
            f"{path} was edited, so it stays: compare it with that of a new project, which "
            "`parrot init` makes in another folder"
        )
    _replace(folder / LOCK, lock_text(shape, pipeline if is_ours else ""))
    try:
        Sections(folder / PARAMS)
    except UserError as error:
        notes.append(f"this Parrot reads other params: {error}")
    return notes


def _dataset(source: Path, root: Path) -> _Data:
    manifest = load_any_manifest(source)
    tasks = sorted({entry.task for entry in manifest.entries(source)})
    place = Path(os.path.realpath(source))
    if not place.is_relative_to(root):
        path = EPISODES if manifest.kind == "episodes" else SHARDS
        return _Data(place, path, manifest, tasks)
    path = place.relative_to(root).as_posix()
    if not PLAIN.fullmatch(path):
        raise UserError(
            f"{source} has a name that stages' commands would not take: let it be of letters, "
            "digits, _, - and dots"
        )
    return _Data(place, path, manifest, tasks)


def _shape(root: Path, environment: str | None, data: _Data | None) -> Shape:
    module = None
    if environment is not None and FACTORY.fullmatch(environment):
        top = environment.partition(":")[0].partition(".")[0]
        module = next((name for name in (f"{top}.py", top) if (root / name).exists()), None)
    if data is not None:
        begins = "filter" if data.manifest.kind == "episodes" else "train_prior"
        return Shape(begins, environment is not None, data.path, module)  # type: ignore[arg-type]
    # What gymnasium knows nobody demonstrates: episodes have to be brought along
    return Shape("filter" if environment == GYMNASIUM else "generate", True, None, module)


def _page(shape: Shape, data: _Data | None, open_ends: list[str]) -> str:
    import jinja2

    page = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        autoescape=False,
        keep_trailing_newline=True,
    ).from_string(template("project.md"))
    return page.render(
        requirement=requirement(),
        to_fill_in=open_ends,
        stages=[f"`{name}`" for name in stages_of(shape)],
        num_episodes=f"{data.manifest.num_episodes:,}" if data else "",
        begins=shape.begins,
        acts=shape.acts,
        data=shape.data,
        module=shape.module,
    )


def _check_free(root: Path, folder: Path, texts: dict[str, str], ignored: dict[str, str]) -> None:
    if (root / LOCK).exists():
        raise UserError(
            f"{folder} is a project already: `parrot init --upgrade {folder}` locks the installed "
            "Parrot there, or name another folder"
        )
    for name in (*texts, *_not_held(root, ignored)):
        path = root / name
        if os.path.lexists(path) and not (name == ".dvcignore" and _is_of_dvc(path)):
            raise UserError(
                f"{folder / name} is there already, and `parrot init` would write it: move it "
                "away, or name another folder"
            )


def _not_held(root: Path, ignored: dict[str, str]) -> dict[str, str]:
    """Those files of patterns that the folder does not have, with every pattern, as its own."""
    return {
        name: text
        for name, text in ignored.items()
        if not set(_patterns(text)) <= set(_patterns(_text_in(root / name)))
    }


def _patterns(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line and not line.startswith("#"))


def _text_in(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _is_of_dvc(path: Path) -> bool:
    """Whether a .dvcignore is as `dvc init` leaves it: with comments alone."""
    text = _text_in(path)
    return text.startswith(OF_DVC) and not any(_patterns(text))


def _begin_repositories(root: Path) -> None:
    """Make a repository of git, and one of DVC in it, where the folder lies in none."""
    asked = subprocess.run(
        ["git", "rev-parse", "--show-toplevel"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        _call(root, "git", "init", "--quiet")
    if any((place / ".dvc").is_dir() for place in (root, *root.parents)):
        return
    is_below = asked.returncode == 0 and Path(asked.stdout.strip()) != root
    _dvc(root, "init", *(["--subdir"] if is_below else []))
    (root / ".dvc/config").write_text(CONFIG, encoding="utf-8")


def _take_in(root: Path, data: _Data) -> None:
    """Copy a dataset from elsewhere into a project, and let DVC keep it, if it does not yet."""
    place = root / data.path
    if place != data.source:
        shutil.copytree(data.source, place)
    if not place.with_name(f"{place.name}.dvc").exists():
        _dvc(root, "add", data.path)


def _dvc(root: Path, *arguments: str) -> None:
    # In a process of its own: DVC's loggers would keep the streams of this one
    _call(root, sys.executable, "-m", "dvc", *arguments, "--quiet")


def _call(root: Path, *command: str) -> None:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "true"}
    subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    replace_synced(temporary, path)


@contextmanager
def _told_of(folder: Path) -> Iterator[Any]:
    """What git, DVC or the disk refuse, as one sentence."""
    try:
        yield
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        name = "git" if error.cmd[0] == "git" else "dvc"
        raise UserError(
            f"{name} cannot make a project in {folder}: {''.join(why).removeprefix('ERROR: ')}"
        ) from error
    except OSError as error:
        raise told(error, folder) from error
