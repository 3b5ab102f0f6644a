"""A mistake in params is one sentence that names the key; a right file passes unchanged."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from pydantic import BaseModel, ConfigDict, Field

from cli.params import load_params, section
from parrot_data.errors import UserError

ROOT = Path(__file__).parents[2]
GOOD = """
generate:
  num_episodes: 3
  rate: 0.5
  families: {pick: 0.6, place: 0.4}
  bounds: [2, 3]
"""


class Example(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    num_episodes: int = Field(ge=1)
    rate: float
    families: dict[str, float]
    bounds: list[int]


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    path = tmp_path / "values.yaml"
    path.write_text(GOOD)
    return path


def read(path: Path, *overrides: str) -> Example:
    return section(load_params(path, overrides), "generate", Example, path)


def test_a_good_file_is_read_as_it_stands(params_file: Path) -> None:
    values = read(params_file)
    assert values.model_dump() == {
        "num_episodes": 3,
        "rate": 0.5,
        "families": {"pick": 0.6, "place": 0.4},
        "bounds": [2, 3],
    }


def test_overrides_are_yaml_and_reach_nested_keys(params_file: Path) -> None:
    values = read(
        params_file,
        "generate.num_episodes=7",
        "generate.families.pick=1",
        "generate.bounds=[1, 1]",
        "generate.rate=3.0e-4",
    )
    assert (values.num_episodes, values.families["pick"], values.bounds) == (7, 1.0, [1, 1])
    assert values.rate == pytest.approx(3e-4)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("num_episodes: 3", "num_episodes: many", "generate.num_episodes should be an integer"),
        ("num_episodes: 3", "num_episodes: '3'", "generate.num_episodes should be an integer"),
        ("num_episodes: 3", "num_episodes: 3.5", "generate.num_episodes should be an integer"),
        ("num_episodes: 3", "num_episodes: true", "generate.num_episodes should be an integer"),
        ("num_episodes: 3", "num_episodes: 0", "generate.num_episodes: should be greater"),
        ("num_episodes: 3", "", "generate.num_episodes is missing"),
        ("num_episodes", "num_epsodes", "did you mean generate.num_episodes"),
        ("rate: 0.5", "rate: 3e-4", "write 3.0e-4"),
        ("rate: 0.5", "rate: [1]", "generate.rate should be a number"),
        ("pick: 0.6", "pick: often", "generate.families.pick should be a number"),
        ("[2, 3]", "[2, x]", "generate.bounds[1] should be an integer"),
        ("[2, 3]", "2", "generate.bounds should be a list"),
        ("generate:", "generat:", "did you mean generate"),
        ("generate:", "filter:", "the section generate is missing"),
        ("[2, 3]", "[2, 3", "line "),
        ("rate: 0.5", "num_episodes: 4", "is written twice"),
    ],
)
def test_a_mistake_names_file_and_key(params_file: Path, old: str, new: str, sentence: str) -> None:
    params_file.write_text(GOOD.replace(old, new))
    with pytest.raises(UserError) as caught:
        read(params_file)
    assert sentence in str(caught.value)
    assert str(params_file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("generate.num_epsodes=3", "did you mean generate.num_episodes"),
        ("generated.num_episodes=3", "did you mean generate"),
        ("generate.families.push=1", "names no key"),
        ("generate.num_episodes.x=1", "names no key"),
        ("generate.num_episodes", "should read section.key=value"),
        ("generate=3", "should read section.key=value"),
        ("generate.num_episodes=[", "not valid YAML"),
        ("generate.num_episodes=few", "should be an integer"),
    ],
)
def test_a_bad_override_is_explained(params_file: Path, override: str, sentence: str) -> None:
    with pytest.raises(UserError, match=r".") as caught:
        read(params_file, override)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("content", ["", "just words", "[1, 2]", "generate: 3"])
def test_a_file_without_sections_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=str(path)):
        load_params(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.yaml does not exist"):
        load_params(tmp_path / "absent.yaml")


def test_only_the_section_asked_for_is_validated(params_file: Path) -> None:
    params_file.write_text(GOOD + "\nshard: {nonsense: 1}\n")
    assert section(load_params(params_file), "generate", Example, params_file).num_episodes == 3


def extending(path: Path, text: str) -> Path:
    profile = path.parent / "profiles" / "values.yaml"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text(f"extends: ../{path.name}\n{text}")
    return profile


def test_a_file_that_extends_another_changes_what_it_names(params_file: Path) -> None:
    profile = extending(params_file, "generate: {num_episodes: 9, families: {pick: 1.0}}")
    changed = {"num_episodes": 9, "families": {"pick": 1.0, "place": 0.4}}
    assert read(profile).model_dump() == read(params_file).model_dump() | changed
    assert read(profile, "generate.rate=0.25").rate == 0.25


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("generate: {num_epsodes: 3}", "did you mean generate.num_episodes"),
        ("generate: {num_episodes: few}", "generate.num_episodes should be an integer"),
        ("generat: {num_episodes: 3}", "did you mean generate"),
    ],
)
def test_a_mistake_in_a_file_that_extends_names_that_file(
    params_file: Path, text: str, sentence: str
) -> None:
    profile = extending(params_file, text)
    with pytest.raises(UserError) as caught:
        read(profile)
    assert sentence in str(caught.value)
    assert str(profile) in str(caught.value)


def test_a_file_cannot_extend_itself(params_file: Path) -> None:
    params_file.write_text(f"extends: {params_file.name}\n{GOOD}")
    with pytest.raises(UserError, match="extends itself"):
        read(params_file)


def test_a_missing_file_to_extend_is_named(params_file: Path) -> None:
    params_file.write_text(f"extends: absent.yaml\n{GOOD}")
    with pytest.raises(UserError, match=r"absent\.yaml does not exist"):
        read(params_file)


@pytest.mark.parametrize(
    ("override", "lines"),
    [
        ("generate.num_episodes=7", {"-  num_episodes: 3000", "+  num_episodes: 7"}),
        ("train_prior.steps=5", {"-  steps: 4000", "+  steps: 5"}),
        ("train_prior.flow=spline", {"-  flow: affine", "+  flow: spline"}),
        ("finetune.methods=[parrot]", {"-  - sac"}),
        ("evaluate.num_episodes=100", set()),
    ],
)
def test_an_experiment_of_dvc_changes_its_own_line_alone(
    tmp_path: Path, override: str, lines: set[str]
) -> None:
    path = Path(shutil.copy(ROOT / "params.yaml", tmp_path))
    before = path.read_text().splitlines()
    apply_overrides(path, [override])  # what `dvc exp run -S` does
    diff = list(difflib.unified_diff(before, path.read_text().splitlines(), n=0, lineterm=""))[2:]
    changed = {line.split("  #")[0] for line in diff if not line.startswith("@@")}
    assert changed == lines
