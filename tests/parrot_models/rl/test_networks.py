from __future__ import annotations

import math

import pytest
import torch

from parrot_models.rl.networks import Actor, Critic, Trunk, tanh_log_det


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make_actor(low, high, initial_std=0.7):
    box = torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)
    actor = Actor(5, *box, [16, 16], initial_std, seeded()).double()
    for parameter in actor.parameters():  # an actor that has learned something
        torch.nn.init.normal_(parameter, std=0.5, generator=seeded(1))
    return actor


def test_log_prob_is_the_change_of_variables_by_autograd():
    actor = make_actor([-2.0] * 3, [2.0] * 3)
    encoded = torch.randn(8, 5, generator=seeded(2), dtype=torch.float64)
    actions, log_probs = actor.sample(encoded, seeded(3))
    means, log_stds = actor(encoded)
    for action, log_prob, mean, log_std in zip(actions, log_probs, means, log_stds, strict=True):
        unsquashed = torch.atanh(action / 2.0).detach()
        jacobian = torch.autograd.functional.jacobian(torch.tanh, unsquashed)
        gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(unsquashed).sum()
        expected = gaussian - torch.linalg.slogdet(jacobian).logabsdet
        assert log_prob.item() == pytest.approx(expected.item(), rel=1e-6)


def test_tanh_log_det_is_finite_where_tanh_saturates():
    x = torch.tensor([[-50.0, 50.0]], requires_grad=True)
    log_det = tanh_log_det(x)
    assert log_det.item() == pytest.approx(2 * (2 * math.log(2) - 2 * 50))
    log_det.sum().backward()
    assert x.grad.isfinite().all()


def test_actions_fill_the_box_and_stay_in_it():
    actor = make_actor([-1.0, 0.0, 3.0], [1.0, 10.0, 3.5], initial_std=2.0)
    encoded = torch.randn(2000, 5, generator=seeded(2), dtype=torch.float64)
    actions, _ = actor.sample(encoded, seeded(3))
    low, high = torch.tensor([[-1.0, 0.0, 3.0], [1.0, 10.0, 3.5]], dtype=torch.float64)
    assert ((actions >= low) & (actions <= high)).all()
    reached = (actions.amax(0) - actions.amin(0)) / (high - low)
    assert (reached > 0.9).all()
    assert ((actor.mode(encoded) - actions).abs() <= high - low).all()


@pytest.mark.parametrize("bound", [1.5, 2.0, 3.0])
def test_first_actions_in_a_latent_box_look_like_the_prior(bound):
    box = torch.full((7,), -bound), torch.full((7,), bound)
    actor = Actor(5, *box, [16, 16], 1 / bound, seeded())
    encoded = torch.randn(4000, 5, generator=seeded(2))
    z, _ = actor.sample(encoded, seeded(3))
    clipped = torch.randn(4000, 7, generator=seeded(4)).clamp(-bound, bound)
    assert z.mean().item() == pytest.approx(0.0, abs=0.03)
    assert z.std().item() == pytest.approx(clipped.std().item(), rel=0.15)
    assert actor.mode(encoded).abs().max() < 0.1 * bound


def test_initial_std_is_what_was_asked_for():
    actor = Actor(5, -torch.ones(2), torch.ones(2), [8], 0.3, seeded())
    torch.nn.init.zeros_(actor.layers[-1].weight)
    assert actor(torch.zeros(1, 5))[1].exp()[0].tolist() == pytest.approx([0.3, 0.3])


def test_critics_are_separate_networks_in_one_product():
    critic = Critic(5, 2, [16, 16], 2, seeded()).double()
    encoded = torch.randn(6, 5, generator=seeded(1), dtype=torch.float64)
    actions = torch.randn(6, 2, generator=seeded(2), dtype=torch.float64)
    for member in range(2):
        x = torch.cat([encoded, actions], -1)
        for layer in critic.layers[:-1]:
            if hasattr(layer, "weight"):
                x = x @ layer.weight[member] + layer.bias[member]
            else:
                x = torch.nn.functional.layer_norm(x, x.shape[-1:]) + layer.bias[member]
                x = x.relu()
        last = critic.layers[-1]
        expected = (x @ last.weight[member] + last.bias[member]).squeeze(-1)
        torch.testing.assert_close(critic(encoded, actions)[member], expected)
    values = critic(encoded, actions)
    assert not torch.allclose(values[0], values[1])


def test_critic_gradients_are_right_despite_operations_in_place():
    critic = Critic(3, 2, [4, 4], 2, seeded()).double()
    encoded = torch.randn(3, 3, generator=seeded(1), dtype=torch.float64, requires_grad=True)
    actions = torch.randn(3, 2, generator=seeded(2), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(critic, (encoded, actions))
    names, parameters = zip(*critic.named_parameters(), strict=True)

    def of_parameters(*values):
        named = dict(zip(names, values, strict=True))
        return torch.func.functional_call(critic, named, (encoded.detach(), actions.detach()))

    assert torch.autograd.gradcheck(of_parameters, parameters)


def test_trunk_standardizes_by_the_observations_it_was_shown():
    trunk = Trunk({"features": 3, "pose": 2}, {}, 0)
    scale = torch.tensor([0.01, 1.0, 100.0])
    seen = {
        "features": torch.randn(500, 3, generator=seeded()) * scale + 7,
        "pose": torch.full((500, 2), 0.3),
        "context": torch.randn(500, 4),
    }
    trunk.standardize_by(seen)
    encoded = trunk(seen)
    assert encoded.shape == (500, trunk.output_dim) == (500, 5)
    torch.testing.assert_close(encoded.mean(0), torch.zeros(5), atol=0.05, rtol=0)
    # Features vary alike whatever their units; what never moved says nothing, and stays bounded.
    torch.testing.assert_close(encoded.std(0)[:3], torch.ones(3), atol=0.05, rtol=0)
    moved = {**seen, "pose": torch.full((500, 2), 100.0)}
    assert trunk(moved).abs().max() <= 5


def test_the_trunks_output_begins_with_what_was_named_first():
    seen = {"a": torch.zeros(4, 2), "_features": torch.ones(4, 3)}
    encoded = Trunk({"_features": 3, "a": 2}, {}, 0)(seen)
    assert encoded[0].tolist() == [1, 1, 1, 0, 0]


def encoder_of(width):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(width, 6))


def test_a_trunk_has_an_encoder_for_each_image_and_sees_vectors():
    encoders = {"wrist": encoder_of(12), "front": encoder_of(30)}
    trunk = Trunk({"pose": 2}, encoders, 6)
    seen = {
        "front": torch.randn(4, 2, 5, 3), "wrist": torch.randn(4, 2, 2, 3),
        "pose": torch.randn(4, 2),
    }  # fmt: skip
    encoded = trunk(seen)
    assert encoded.shape == (4, trunk.output_dim) == (4, 2 + 2 * 6)
    front = trunk(seen | {"front": torch.randn(4, 2, 5, 3)})
    wrist = trunk(seen | {"wrist": torch.randn(4, 2, 2, 3)})
    for other, changed in ((front, slice(2, 8)), (wrist, slice(8, 14))):
        same = torch.ones(14, dtype=torch.bool)
        same[changed] = False
        assert encoded[:, same].equal(other[:, same])
        assert not torch.allclose(encoded[:, changed], other[:, changed])


def test_a_trunk_may_see_images_alone():
    trunk = Trunk({}, {"camera": encoder_of(12)}, 6)
    images = {"camera": torch.randn(4, 2, 2, 3)}
    trunk.standardize_by(images)
    assert trunk(images).shape == (4, 6)
