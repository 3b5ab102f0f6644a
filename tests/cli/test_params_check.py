"""Every section is checked by the first command that reads the file, and with the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli.params import SECTIONS, Sections, load_params, section
from cli.params_check import check_together, models, together
from parrot_data.errors import UserError
from parrot_models.baselines.params import PretrainParams
from parrot_models.methods.names import FLOWS, PART_OF_METHOD, PARTS
from parrot_models.methods.table import METHODS
from parrot_models.pretrain import METHODS as PRETRAINED

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / "params.yaml"


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
        (["filter.families=[drawer]"], "filter.families names 'drawer'"),
        (["generate.families={pick: 1.0, place: 0.0}"], "filter.families names 'place'"),
        (["environment.proprioception=false"], "train_prior.encoder is foveal"),
        (
            [
                "environment.proprioception=false", "train_prior.encoder=fast",
                "finetune.parts=[bc, vae]",
            ],
            "pretrain.bc.encoder is foveal",
        ),
        (
            ["finetune.parts=[trajectories]", "pretrain.trajectories.chunk_steps=7"],
            "chunk_steps of 7 does not divide",
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
        ["pretrain.trajectories.chunk_steps=7"],  # of a part that no method asks for
        ["finetune.parts=[bc]", "finetune.methods=[bc_sac]"],
        ["finetune.critic_only_updates=9499"],  # one update is left
        ["generate.families={pick-cup: 1.0}", "filter.families=[pick]"],
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
        name: section(raw, name, model, PARAMS) for name, model in models().items() if name in raw
    }
    with pytest.raises(UserError, match="bytes of memory") as caught:
        check_together(together(sections), available)
    assert str(caught.value).startswith(f"{key} of ")


def test_a_study_is_checked_too() -> None:
    study = ROOT / "studies" / "mismatch" / "params.yaml"
    for override in ("study.seeds=[0]", "study.tasks=[pick-nothing]", "study.priors=[]"):
        with pytest.raises(UserError, match=r"study\."):
            Sections(study, [override])
