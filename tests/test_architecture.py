"""The house rules that a machine can check: who may import whom, and what DVC must know of it."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
import yaml

from parrot_data.stores.sources import sources_of
from parrot_models.finetune import code_of_run
from parrot_models.methods.table import METHODS, Method

ROOT = Path(__file__).parents[1]
STAGES: dict[str, dict] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PACKAGES = ("parrot_data", "parrot_models")


@functools.cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def file_of(module: str) -> Path:
    """Path of a module relative to the root."""
    path = Path(*module.split("."))
    return path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")


def files_imported_by(module: str) -> set[Path]:
    """Every file of ours that importing a module runs, itself and parent packages included.

    Packages with an empty `__init__.py` are left out: nothing in them can change a result.
    """
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
        waiting += graph().find_modules_directly_imported_by(name)
    files = {file_of(name) for name in seen}
    return {path for path in files if path.name != "__init__.py" or (ROOT / path).read_text()}


def module_of(stage: str) -> str:
    name = {"train_flow": "train_prior", "import": "import_"}.get(stage, stage)
    return next(
        f"{package}.{name}" for package in PACKAGES if (ROOT / package / f"{name}.py").exists()
    )


def is_data(path: Path) -> bool:
    """Whether a dep inside our packages is no code, such as the page's template."""
    return (ROOT / path).is_file() and path.suffix != ".py"


def source_deps(stage: str) -> set[Path]:
    """What a stage depends on; of a run, what its method starts from says parts.json."""
    deps = {Path(dep) for dep in STAGES[stage]["deps"]}
    own = {dep for dep in deps if dep.parts[0] in PACKAGES}
    return own.union(*map(code_of, METHODS.values())) if stage == "finetune" else own


def code_of(method: Method) -> set[Path]:
    return {Path("parrot_models", path) for path in method.part.code}


def test_every_import_contract_is_kept() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("stage", STAGES)
def test_deps_of_a_stage_cover_all_it_imports(stage: str) -> None:
    deps = source_deps(stage)
    imported = files_imported_by(module_of(stage))
    uncovered = {path for path in imported if not deps & {path, *path.parents}}
    assert not uncovered, f"add to the deps of {stage} in dvc.yaml: {sorted(map(str, uncovered))}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_dep_of_a_stage_is_imported_by_it(stage: str) -> None:
    imported = files_imported_by(module_of(stage))
    used = {parent for path in imported for parent in (path, *path.parents)}
    strangers = {dep for dep in source_deps(stage) if dep not in used and not is_data(dep)}
    assert not strangers, f"take from the deps of {stage}: {sorted(map(str, strangers))}"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_of_a_stage_exist_and_are_said_once(stage: str) -> None:
    deps = [Path(dep) for dep in STAGES[stage]["deps"]]
    for dep in deps:
        assert not set(dep.parents) & set(deps), f"{stage} names {dep} and a folder it lies in"
        assert dep.parts[0] not in PACKAGES or (ROOT / dep).exists(), f"{stage}: no {dep}"


def test_params_of_finetune_are_all_but_the_matrix() -> None:
    section = yaml.safe_load((ROOT / "params.yaml").read_text())["finetune"]
    matrix = {"tasks", "methods", "seeds"}
    params = [key for key in STAGES["finetune"]["params"] if isinstance(key, str)]
    named = {key for key in params if key.startswith("finetune.")}
    assert named == {f"finetune.{key}" for key in section.keys() - matrix - {"parts", "flows"}}
    reported = {f"finetune.{key}" for key in (*matrix, "parts", "flows")}
    assert reported <= set(STAGES["report"]["params"])


@pytest.mark.parametrize("name", METHODS)
def test_a_run_depends_on_all_code_of_its_own_part(name: str) -> None:
    code = code_of(METHODS[name])
    files = [
        f for path in code for f in ((ROOT / path).rglob("*.py") if not path.suffix else [path])
    ]
    modules = {".".join((ROOT / f).relative_to(ROOT).with_suffix("").parts) for f in files}
    imported = set().union(*(files_imported_by(m.removesuffix(".__init__")) for m in modules))
    deps = code | {Path(dep) for dep in STAGES["finetune"]["deps"]}
    uncovered = {path for path in imported if not deps & {path, *path.parents}}
    assert not uncovered, f"add to the code of {METHODS[name].part.name}: {sorted(uncovered)}"


def pipelines() -> dict[str, dict[str, dict]]:
    """Stages of the profiles and studies, by folder."""
    paths = [*ROOT.glob("profiles/*/dvc.yaml"), *ROOT.glob("studies/*/dvc.yaml")]
    return {
        path.parent.relative_to(ROOT).as_posix(): yaml.safe_load(path.read_text())["stages"]
        for path in sorted(paths)
    }


# What learns is built from the data's spec: it knows no width and no side of any robot.
FROM_SPECS = ("flows", "networks", "training", "prior", "baselines", "rl", "methods")
OF_THE_TABLETOP = {"ACTION_DIM", "PROPRIOCEPTION_DIM", "IMAGE_SHAPE"}
SIZES_OF_THE_TABLETOP = {7, 8, 48}
# By file: numbers that are no size of a robot, and what they are.
NO_SIZES = {
    "networks/declared.py": ({8}, "modules that a declared tensor may hang on"),
    "networks/image_encoder.py": (
        {8, 48},
        "kernel and channels of convolutions, and their strides",
    ),
    "training/params.py": ({8}, "parts of a stream's buffer"),
    "training/augment.py": ({8}, "orders of the colour channels in a batch"),
}


def sizes_named_in(path: Path) -> set[int | str]:
    """Names and numbers of the tabletop in a file's code."""
    found: set[int | str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name | ast.alias | ast.Attribute):
            name = node.attr if isinstance(node, ast.Attribute) else None
            name = name or getattr(node, "id", None) or getattr(node, "name", "")
            found |= {name} & OF_THE_TABLETOP
        is_number = isinstance(node, ast.Constant) and type(node.value) is int
        if is_number and node.value in SIZES_OF_THE_TABLETOP:
            found.add(node.value)
    return found


@pytest.mark.parametrize("room", FROM_SPECS)
def test_what_is_built_from_specs_names_no_size_of_the_tabletop(room: str) -> None:
    for path in sorted((ROOT / "parrot_models" / room).glob("*.py")):
        name = path.relative_to(ROOT / "parrot_models").as_posix()
        assert sizes_named_in(path) <= NO_SIZES.get(name, (set(), ""))[0], name


def test_every_number_that_is_excused_is_there() -> None:
    for name, (numbers, reason) in NO_SIZES.items():
        assert numbers <= sizes_named_in(ROOT / "parrot_models" / name), name
        assert reason


STUDIES = [
    (folder, stage)
    for folder, stages in pipelines().items()
    for stage, values in stages.items()
    if values.get("do", values)["cmd"].startswith("parrot ")
]


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/*/dvc.yaml")), ids=lambda p: p.parent.name)
def test_a_pipeline_names_a_stage_once(path: Path) -> None:
    """YAML would keep the last of two in silence."""
    stages = re.findall(r"^  (\w+):$", path.read_text(), re.MULTILINE)
    assert len(stages) == len(set(stages))


@pytest.mark.parametrize(("folder", "stage"), STUDIES)
def test_deps_of_a_study_cover_all_it_imports(folder: str, stage: str) -> None:
    values = pipelines()[folder][stage]
    deps = {Path(os.path.normpath(Path(folder, dep))) for dep in values.get("do", values)["deps"]}
    module = module_of("finetune" if stage == "scratch" else stage)
    uncovered = {path for path in files_imported_by(module) if not deps & {path, *path.parents}}
    assert not uncovered, f"add to the deps of {stage} in {folder}: {sorted(map(str, uncovered))}"


@pytest.mark.parametrize("folder", ["studies/dataset_size", "studies/mismatch", "studies/own_task"])
def test_params_of_a_studys_runs_are_those_of_the_default(folder: str) -> None:
    params = [key for key in STAGES["finetune"]["params"] if isinstance(key, str)]
    named = {key for key in params if key.startswith("finetune.")}
    for stage, values in pipelines()[folder].items():
        if stage in {"finetune", "scratch"}:
            (of_default,) = (p["../../params.yaml"] for p in values["params"] if p != "finetune")
            assert set(of_default) == named | {"environment", "evaluate"}, stage


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"train_flow"}))
def test_unfinished_work_is_that_of_the_code_dvc_knows(stage: str) -> None:
    """What a fingerprint covers is what the import graph says, and in the stage's deps."""
    sources = {Path(name) for name in sources_of(module_of(stage))}
    assert {path for path in sources if path.suffix == ".py"} == files_imported_by(module_of(stage))
    deps = source_deps(stage)
    assert all(deps & {path, *path.parents} for path in sources)


@pytest.mark.parametrize("stage", ["judge", "finetune", "explore"])
def test_unfinished_acting_is_of_its_simulator(stage: str) -> None:
    sources = sources_of(f"parrot_models.{stage}")
    assert "parrot_data/worlds/tabletop/arm.py" in sources
    assert "parrot_data/worlds/tabletop/assets/widowx250.urdf" in sources


@pytest.mark.parametrize("stage", ["train_prior", "pretrain"])
def test_training_needs_no_simulator(stage: str) -> None:
    """Another simulator, another judgement: no model is trained again for it."""
    worlds = [name for name in sources_of(f"parrot_models.{stage}") if "worlds" in name]
    assert worlds == [], "parrot_data/__init__.py registers the tabletop: let it import less"


@pytest.mark.parametrize("stage", ["train_prior", "pretrain", "judge", "finetune", "explore"])
def test_unfinished_work_is_of_no_report(stage: str) -> None:
    assert not [name for name in sources_of(f"parrot_models.{stage}") if "report" in name]


def test_params_of_judge_are_all_but_the_matrix() -> None:
    section = yaml.safe_load((ROOT / "params.yaml").read_text())["judge"]
    named = {key for key in STAGES["judge"]["params"] if key.startswith("judge.")}
    assert named == {f"judge.{key}" for key in section.keys() - {"models"}}


def test_simulated_work_is_that_of_every_file_of_the_world() -> None:
    sources = {Path(name) for name in sources_of("parrot_data.generate")}
    assets = (path for path in (ROOT / "parrot_data/worlds").rglob("assets/**/*") if path.is_file())
    assert {path.relative_to(ROOT) for path in assets} <= sources


@pytest.mark.parametrize("name", METHODS)
def test_an_unfinished_run_is_that_of_its_own_parts_code(name: str) -> None:
    named = {Path(dep) for dep in STAGES["finetune"]["deps"]} | code_of(METHODS[name])
    imported = files_imported_by("parrot_models.finetune")
    expected = {path for path in imported if named & {path, *path.parents}}
    sources = {Path(path) for path in code_of_run(METHODS[name])["sources"]}
    assert {path for path in sources if path.suffix == ".py"} == expected
