"""Several processes learn what one learns: from the same batches, killed or not, each told once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from in_ranks import in_ranks
from learnable import STEPS, files_of, train, write_learnable
from torch import Tensor, nn

from parrot_data.errors import UserError
from parrot_data.interruption import Interrupted
from parrot_data.streams import generator
from parrot_models.baselines.params import PretrainParams
from parrot_models.pretrain import METHODS, pretrain
from parrot_models.training.fitting import Schedule, fit
from parrot_models.training.params import NoKeypoints
from parrot_models.training.ranks import ALONE, Ranks
from tests.parrot_models.baselines.part_params import OF_PART, part_params

WITHIN = 0.02  # nats a dimension


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_learnable(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def by_two(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of two processes that nobody disturbed."""
    out = tmp_path_factory.mktemp("two") / "prior"
    first, second = in_ranks(2, lambda ranks: train(data, out, ranks))
    assert first["log_prob_per_dim"] > 0
    assert second == {}
    return out


def test_a_batch_is_dealt_out_whole() -> None:
    rows = np.arange(12)
    parts = [Ranks(rank, 3).part(rows) for rank in range(3)]
    assert np.concatenate(parts).tolist() == rows.tolist()
    assert ALONE.part(rows).tolist() == rows.tolist()


def test_one_process_draws_what_it_ever_drew_and_others_draw_something_else() -> None:
    drawn = [Ranks(rank, 3).own(generator(0, "test: own")).random() for rank in range(3)]
    assert drawn[0] == generator(0, "test: own").random()
    assert len(set(drawn)) == 3


def test_two_processes_learn_what_one_learns(data: Path, by_two: Path, tmp_path: Path) -> None:
    """Of the same rows of every batch: only the order in which numbers are added up differs."""
    alone = train(data, tmp_path / "prior")
    one, two = files_of(tmp_path / "prior"), files_of(by_two)
    assert one.keys() == two.keys()
    assert one["config.json"] == two["config.json"]
    for name in ("history.csv",):
        rows = [np.loadtxt(f[name].decode().splitlines()[1:], delimiter=",") for f in (one, two)]
        np.testing.assert_allclose(*rows, atol=WITHIN / 10)
    untrained = train(data, tmp_path / "untrained", steps=1)
    assert alone["log_prob_per_dim"] > untrained["log_prob_per_dim"] + 10 * WITHIN


def test_gradients_are_those_of_the_whole_batch_and_weights_the_same_in_all() -> None:
    def losses(module: nn.Module, ranks: Ranks) -> Callable[[int], Tensor]:
        def loss_at(step: int) -> Tensor:
            x = generator(0, "test: batch", step).normal(size=(8, 3)).astype(np.float32)
            mine = torch.from_numpy(ranks.part(x))
            return (module(mine) - mine.sum(1, keepdim=True)).square().mean()

        return loss_at

    def fitted(folder: Path, ranks: Ranks) -> list[float]:
        torch.manual_seed(0)
        module = nn.Linear(3, 1)
        schedule = Schedule(10, 0.1, 1.0, 0.0, 4, 4)
        weights = list(module.parameters())
        fit(
            module, weights, losses(module, ranks), schedule, folder / "x.checkpoint",
            lambda _s, _l: None, ranks=ranks,
        )  # fmt: skip
        return torch.cat([weight.flatten() for weight in weights]).tolist()

    import tempfile

    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        alone = fitted(Path(one), ALONE)
        first, second = in_ranks(2, lambda ranks: fitted(Path(two), ranks))
    assert first == second
    assert first == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("killed", [0, 1])
def test_killed_and_called_again_they_end_in_the_same_bytes(
    data: Path, by_two: Path, tmp_path: Path, killed: int
) -> None:
    """The first process between two checkpoints; or another, of which the first finds out."""
    out = tmp_path / "prior"

    def run(ranks: Ranks) -> None:
        def progress(done: int, _total: int, note: str) -> None:
            if note.startswith("flow") and done == 13:
                os.kill(os.getpid(), signal.SIGKILL)

        if ranks.rank == 1 == killed:
            monkey = Ranks.part
            seen = iter(range(13))
            Ranks.part = lambda self, rows: (  # type: ignore[method-assign]
                monkey(self, rows) if next(seen, None) is not None else os.kill(os.getpid(), 9)
            )
        train(data, out, ranks, progress if killed == 0 else lambda *_: None)

    found = in_ranks(2, run)
    assert found[killed] == "killed"
    assert isinstance(found[1 - killed], RuntimeError)
    assert not out.exists()
    in_ranks(2, lambda ranks: train(data, out, ranks))
    assert files_of(out) == files_of(by_two)


def test_a_signal_to_one_ends_all_after_the_same_step(
    data: Path, by_two: Path, tmp_path: Path
) -> None:
    out = tmp_path / "prior"

    def run(ranks: Ranks) -> None:
        seen = iter(range(1, STEPS + 1))
        part = Ranks.part

        def noted(self: Ranks, rows: np.ndarray) -> np.ndarray:
            if ranks.rank == 1 and next(seen) == 8:
                signal.raise_signal(signal.SIGINT)
            return part(self, rows)

        Ranks.part = noted  # type: ignore[method-assign]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        train(data, out, ranks)

    found = in_ranks(2, run)
    assert [type(error) for error in found] == [Interrupted, Interrupted]
    assert {error.args[1] for error in found} == {f"step 8 of {STEPS} (flow)"}
    steps: list[int] = []
    in_ranks(2, lambda ranks: train(data, out, ranks, lambda done, *_: steps.append(done)))
    assert files_of(out) == files_of(by_two)


def test_another_number_of_processes_goes_on_from_the_same_batches(
    data: Path, by_two: Path, tmp_path: Path
) -> None:
    out = tmp_path / "prior"

    class KilledError(Exception):
        pass

    def progress(done: int, _total: int, note: str) -> None:
        if note.startswith("flow") and done == 13:
            raise KilledError

    with pytest.raises(KilledError):
        train(data, out, progress=progress)
    metrics, _ = in_ranks(2, lambda ranks: train(data, out, ranks))
    whole = files_of(by_two)
    assert len(files_of(out)["history.csv"].splitlines()) == len(whole["history.csv"].splitlines())
    undisturbed = train(data, tmp_path / "alone")
    assert abs(metrics["log_prob_per_dim"] - undisturbed["log_prob_per_dim"]) < WITHIN


def test_a_batch_that_cannot_be_dealt_out_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train_prior\.batch_size is 9.* a multiple of 2"):
        train(data, tmp_path / "prior", Ranks(0, 2), batch_size=9)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("method", [name for name in METHODS if name != "vae"])
def test_every_part_is_pre_trained_by_two(data: Path, tmp_path: Path, method: str) -> None:
    plain = {"encoder": {"kind": "vector"}, "observation_noise": 0.0, "batch_size": 8, "steps": 9}
    values = {part: part_params(part, **plain) for part in OF_PART}
    params = PretrainParams.model_validate(values)

    def run(out: Path, ranks: Ranks) -> dict[str, object]:
        return pretrain(params, NoKeypoints(kind="none"), method, data, out, ranks=ranks)

    alone = run(tmp_path / "one", ALONE)
    together, none = in_ranks(2, lambda ranks: run(tmp_path / "two", ranks))
    assert none == {}
    assert files_of(tmp_path / "one").keys() == files_of(tmp_path / "two").keys()
    name = "bound_per_dim" if method == "options" else "log_prob_per_dim"
    assert together[name] == pytest.approx(alone[name], abs=0.1)
