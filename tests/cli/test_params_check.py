"""Every section is checked by the first command that reads the file, and with the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli.params import SECTIONS, Sections, load_params, validated
from cli.params_check import check_together, models, together
from parrot_data.errors import UserError
from parrot_models.baselines.params import PretrainParams
from parrot_models.methods.names import FLOWS, PART_OF_METHOD, PARTS
from parrot_models.methods.table import METHODS
from parrot_models.pretrain import METHODS as PRETRAINED

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / "params.yaml"
GYMNASIUM = (
    "{name: gymnasium, tasks: {reach: {id: Reach-v0, kwargs: {}}}, success: {info: won}, "
    "max_steps: null}"
)
PREDICTED_PRIOR = (
    "train_prior.encoder={kind: foveal_predicted, feature_dim: 176, window_dim: 128, "
    "pose: {width: 32, steps: 5000, batch_size: 128, learning_rate: 1.0e-3}}"
)
FAST_PRIOR = "train_prior.encoder={kind: fast, feature_dim: 64}"


def test_every_section_has_a_model() -> None:
    assert tuple(models()) == (*SECTIONS, "study")


@pytest.mark.parametrize("path", [PARAMS, *sorted(ROOT.glob("*/*/params.yaml"))], ids=str)
def test_every_committed_file_passes(path: Path) -> None:
    Sections(path)


def test_names_are_those_of_the_table_of_methods() -> None:
    assert dict(PART_OF_METHOD) == {name: method.part.name for name, method in METHODS.items()}
    assert set(PARTS) == set(PRETRAINED) == set(PretrainParams.model_fields)
    assert {"prior", *PARTS, *FLOWS} == set(PART_OF_METHOD.values())


def test_checking_params_needs_neither_torch_nor_a_simulator() -> None:
    heavy = "{'torch', 'pybullet', 'zarr', 'scipy', 'matplotlib', 'webdataset'}"
    code = (
        "import sys; from pathlib import Path; from cli.params import Sections; "
        f"Sections(Path({str(PARAMS)!r})); import cli.main; "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_generating_needs_no_torch() -> None:
    code = (
        "import sys; import cli.data, parrot_data.generate; from pathlib import Path; "
        "from cli.params import Sections; "
        f"Sections(Path({str(PARAMS)!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["filter.tasks=[drawer]"], "filter.tasks names 'drawer'"),
        (
            ["generate.tasks={pick: 1.0, place: 0.0}", "filter.tasks=[place]"],
            "filter.tasks names 'place'",
        ),
        (["generate.tasks={push: 1.0}"], "generate.tasks names 'push', and the world tabletop has"),
        (["finetune.tasks=[pick]"], "finetune.tasks names 'pick', and the world tabletop has only"),
        (["judge.families=[push]"], "judge.families names 'push'"),
        (["explore.families=[push]"], "explore.families names 'push'"),
        (["audit.tasks=[push]"], "audit.tasks names 'push'"),
        (["judge.probe.tasks=[pick]"], "judge.probe.tasks names 'pick'"),
        (["judge.models=[prior, bc]"], "judge.models names 'bc', which nothing trains"),
        ([f"environment={GYMNASIUM}"], "finetune.tasks names 'pick-sculpture', and the world gymn"),
        (["environment.proprioception=false"], "train_prior.encoder.kind is foveal, which needs"),
        ([PREDICTED_PRIOR], "train_prior.encoder.kind is foveal_predicted, which guesses what"),
        (["train_prior.encoder={kind: vector}"], "train_prior.encoder.kind is vector"),
        (
            [
                "environment.proprioception=false", FAST_PRIOR, "finetune.parts=[bc, vae]",
            ],
            "pretrain.bc.encoder.kind is foveal",
        ),
        (["finetune.methods=[sac, bc_sac]"], "bc_sac needs 'bc' among parts"),
        (["finetune.methods=[parrot_spline]"], "parrot_spline needs 'spline' among flows"),
        (["finetune.env_steps=2000"], "the actor would never learn"),
        (["finetune.critic_only_updates=9500"], "the actor would never learn"),
        (["finetune.utd=0"], "the actor would never learn"),
    ],
)  # fmt: skip
def test_sections_have_to_agree(overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        Sections(PARAMS, overrides)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(f"{PARAMS}: ")


@pytest.mark.parametrize(
    "overrides",
    [
        ["pretrain.trajectories.chunk_steps=7"],
        ["environment.proprioception=false", PREDICTED_PRIOR],
        [
            "environment.proprioception=false",
            FAST_PRIOR,
        ],  # what no method asks for is not looked at
        ["finetune.parts=[bc]", "finetune.methods=[bc_sac]"],
        ["finetune.critic_only_updates=9499"],  # one update is left
        ["generate.tasks={pick-cup: 1.0}", "filter.tasks=[pick-cup]"],
        ["judge.models=[prior, bc]", "finetune.parts=[bc]"],
        ["judge.probe=null"],
        # What a world of one's own has is known once it is made
        ["environment={name: a.b:make, kwargs: {}}", "finetune.tasks=[any]", "judge.families=[]"],
        [
            f"environment={GYMNASIUM}",
            "finetune.tasks=[reach]",
            "judge.families=[]",
            "judge.probe=null",
            "explore.families=[]",
            "generate.tasks={anything: 1.0}",
        ],
    ],
)
def test_what_agrees_passes(overrides: list[str]) -> None:
    Sections(PARAMS, overrides)


@pytest.mark.parametrize(
    ("override", "available", "key"),
    [
        ("finetune.replay_capacity=1000000000", 10**10, "finetune.replay_capacity"),
        ("finetune.batch_size=1000000", 10**8, "finetune.batch_size"),
        ("train_prior.batch_size=100000", 10**9, "train_prior.batch_size"),
        ("finetune.agent.hidden=[60000, 60000]", 10**10, "finetune.agent.hidden"),
    ],
)
def test_what_memory_cannot_hold_is_known_at_once(override: str, available: int, key: str) -> None:
    raw = load_params(PARAMS, [override])
    sections = {
        name: validated(raw, name, form, PARAMS) for name, form in models().items() if name in raw
    }
    with pytest.raises(UserError, match="bytes of memory") as caught:
        check_together(together(sections), available)
    assert str(caught.value).startswith(f"{key} of ")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("environment.name=tabeltop", "environment.name is 'tabeltop', which is none of tabletop"),
        ("environment.name=tabeltop", "(did you mean tabletop?)"),
        ("environment.name=3", "environment.name is 3, which is none of tabletop"),
        ("environment.image_size=3", "environment.image_size: should be greater"),
        ("environment={name: gymnasium}", "environment.tasks is missing"),
        ("environment={image_size: 48}", "environment.name is missing"),
        (
            "train_prior.encoder={kind: fovael}",
            "train_prior.encoder.kind is 'fovael', which is none of foveal, "
            "foveal_predicted, fast, paper, vector (did you mean foveal?); correct it",
        ),
        ("train_prior.encoder={feature_dim: 6}", "train_prior.encoder.kind is missing; add it"),
        ("train_prior.encoder=fast", "train_prior.encoder should be a mapping"),
        ("train_prior.encoder={kind: fast}", "train_prior.encoder.feature_dim is missing"),
        (
            "train_prior.encoder={kind: fast, feature_dim: 6, window_dim: 3}",
            "train_prior.encoder.window_dim is not a known key",
        ),
        ("keypoints.kind=reconstructed", "keypoints.kind is 'reconstructed', which is none of"),
        ("train_prior.flow=glow", "train_prior.flow: should be 'affine', 'spline' or 'matching'"),
        ("train_prior.augment=[mirrors]", "train_prior.augment[0]: should be 'mirror' or 'colors'"),
        ("judge.probe={array: target_position}", "judge.probe.dims is missing"),
        ("judge.probe=target_position", "judge.probe should be a mapping"),
    ],
)
def test_a_slip_about_one_of_several_kinds_is_told_by_its_key(override: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        Sections(PARAMS, [override])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_is_checked_too() -> None:
    study = ROOT / "studies" / "mismatch" / "params.yaml"
    for override in ("study.seeds=[0]", "study.tasks=[pick-nothing]", "study.priors=[]"):
        with pytest.raises(UserError, match=r"study\."):
            Sections(study, [override])
