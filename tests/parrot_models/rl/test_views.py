from __future__ import annotations

import numpy as np
import pytest
import torch
from rl_fakes import EPISODE_STEPS, IMAGE_ALONE, ONE_IMAGE, SPECS, VECTOR_ALONE, FakePrior, PointEnv

from parrot_models.rl.evaluation import when_due
from parrot_models.rl.views import (
    CONTEXT,
    FEATURES,
    DirectView,
    GuidedView,
    LatentView,
    Seeing,
    ViewedEnv,
)


def latent_env(env, prior, observe="features", bound=2.0, *, with_context=False):
    view = LatentView(
        env.observation_space, prior, bound, Seeing(observe, with_context=with_context)
    )
    return ViewedEnv(env, view)


def direct_env(env, prior):
    return ViewedEnv(env, DirectView(env.observation_space, prior, Seeing("features")))


def encoded_by_hand(observation, spec=ONE_IMAGE):
    return FakePrior(spec).encode({k: torch.from_numpy(v)[None] for k, v in observation.items()})


def decoded_by_hand(z, observation, spec):
    context = encoded_by_hand(observation, spec).context
    return FakePrior(spec).decode(torch.from_numpy(z)[None], context)[0].numpy()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("observe", ["features", "image"])
def test_the_robot_executes_f_of_z_in_the_observation_last_seen(observe, spec):
    plain, rng = PointEnv(spec), np.random.default_rng(0)
    env = latent_env(plain, FakePrior(spec), observe)
    seen = PointEnv(spec)
    for episode in range(2):
        env.reset(seed=episode)
        observation, _ = seen.reset(seed=episode)
        for _ in range(EPISODE_STEPS):
            z = rng.uniform(-2, 2, spec.action.dim).astype(np.float32)
            expected = decoded_by_hand(z, observation, spec)
            *_, info = env.step(z)
            assert np.array_equal(plain.executed[-1], expected)
            assert np.array_equal(info["executed_action"], expected)
            observation, *_ = seen.step(expected)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_z_that_is_held_is_decoded_anew_in_each_observation(spec):
    plain, rng = PointEnv(spec), np.random.default_rng(0)
    env = ViewedEnv(
        plain, LatentView(plain.observation_space, FakePrior(spec), 2.0, Seeing("features", 2))
    )
    seen = PointEnv(spec)
    for episode in range(2):
        env.reset(seed=episode)
        observation, _ = seen.reset(seed=episode)
        said = rng.uniform(-2, 2, (EPISODE_STEPS, spec.action.dim)).astype(np.float32)
        for step in range(EPISODE_STEPS):
            assert env.view.is_due.tolist() == [step % 2 == 0]
            *_, info = env.step(said[step])
            expected = decoded_by_hand(said[step // 2 * 2], observation, spec)
            assert np.array_equal(info["executed_action"], expected)
            observation, *_ = seen.step(expected)


@pytest.mark.parametrize("held", [1, 3])
def test_a_policy_is_asked_where_a_decision_is_due_and_not_in_between(held):
    plain, asked = PointEnv(VECTOR_ALONE), []
    space = plain.observation_space
    view = DirectView(space, FakePrior(VECTOR_ALONE), Seeing("features", held))
    env = ViewedEnv(plain, view)

    def decide(observation):
        asked.append(observation)
        return np.full(VECTOR_ALONE.action.dim, 0.01 * len(asked), np.float32)

    policy = when_due(env, decide)
    for _ in range(2):
        observation, _ = env.reset(seed=0)
        for step in range(EPISODE_STEPS):
            action = policy(observation)
            assert (asked[-1] is observation) == (step % held == 0)
            observation, *_ = env.step(action)
    assert len(asked) == 2 * -(-EPISODE_STEPS // held)


def test_an_action_of_the_robot_s_own_is_repeated_and_each_robot_decides_at_its_own_times():
    spec = VECTOR_ALONE
    view = DirectView(PointEnv(spec).observation_space, FakePrior(spec), Seeing("features", 3))
    observation, _ = PointEnv(spec).reset(seed=0)
    view.begin({k: np.stack([v, v]) for k, v in observation.items()})
    said = np.random.default_rng(0).uniform(-1, 1, (7, 2, spec.action.dim)).astype(np.float32)
    for step in range(7):
        executed = view.executed(said[step])
        np.testing.assert_array_equal(executed, said[step // 3 * 3])
        view.see({k: np.stack([v, v]) for k, v in observation.items()})
        assert view.is_due.tolist() == [step % 3 == 2] * 2


@pytest.mark.parametrize("observe", ["features", "image"])
def test_each_observation_is_encoded_once(observe):
    prior = FakePrior()
    env = latent_env(PointEnv(), prior, observe)
    prior.num_encoded = 0
    for _ in range(3):
        env.reset(seed=0)
        for _ in range(EPISODE_STEPS):
            env.step(np.zeros(7, np.float32))
    assert prior.num_encoded == 3 * (EPISODE_STEPS + 1)


@pytest.mark.parametrize("with_context", [False, True])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("observe", ["features", "image"])
def test_the_agent_sees_what_was_asked_for(observe, spec, with_context):
    env = latent_env(PointEnv(spec), FakePrior(spec), observe, with_context=with_context)
    shown = set(spec.images) if observe == "image" else {FEATURES} if spec.images else set()
    keys = set(spec.vectors) | shown | ({CONTEXT} if with_context else set())
    first, _ = env.reset(seed=1)
    second, *_ = env.step(np.zeros(spec.action.dim, np.float32))
    for observation in (first, second):
        assert set(observation) == set(env.observation_space.spaces) == keys
        assert env.observation_space.contains(observation)
    encoding = encoded_by_hand(PointEnv(spec).reset(seed=1)[0], spec)
    if FEATURES in keys:
        assert np.array_equal(first[FEATURES], encoding.features[0].numpy())
    if with_context:
        assert np.array_equal(first[CONTEXT], encoding.context[0].numpy())


def test_without_a_prior_on_actions_they_are_executed_as_they_are():
    plain, prior = PointEnv(), FakePrior()
    env, latent = direct_env(plain, prior), latent_env(PointEnv(), prior)
    assert env.observation_space == latent.observation_space
    action = np.linspace(-1, 1, 7, dtype=np.float32)
    observation, _ = env.reset(seed=5)
    other, _ = latent.reset(seed=5)
    assert np.array_equal(observation[FEATURES], other[FEATURES])
    *_, info = env.step(action)
    assert np.array_equal(plain.executed[-1], action)
    assert np.array_equal(info["executed_action"], action)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_direct_actions_lie_in_the_box_of_the_part(spec):
    class Odd(FakePrior):
        def action_box(self):
            dims = np.arange(spec.action.dim, dtype=np.float32)
            return 10 * dims - 1, 10 * dims + 1

    env = direct_env(PointEnv(spec), Odd(spec))
    env.reset(seed=0)
    actions = np.array([env.sample_warmup_action(np.random.default_rng(i)) for i in range(200)])
    assert all(env.action_space.contains(action) for action in actions)
    np.testing.assert_allclose(actions.mean(0), 10 * np.arange(spec.action.dim), atol=0.3)
    assert (np.ptp(actions, axis=0) > 1.8).all()


def test_warmup_actions_are_the_priors_own():
    env, rng = latent_env(PointEnv(), FakePrior(), bound=1.5), np.random.default_rng(0)
    env.reset(seed=0)
    z = np.array([env.sample_warmup_action(rng) for _ in range(4000)])
    clipped = np.random.default_rng(1).standard_normal(z.shape).clip(-1.5, 1.5)
    assert z.dtype == env.action_space.dtype
    assert np.abs(z).max() == 1.5
    np.testing.assert_allclose(
        np.quantile(z, np.linspace(0, 1, 11)),
        np.quantile(clipped, np.linspace(0, 1, 11)),
        atol=0.05,
    )


def test_warmup_actions_without_a_prior_are_uniform():
    env, rng = direct_env(PointEnv(), FakePrior()), np.random.default_rng(0)
    env.reset(seed=0)
    actions = np.array([env.sample_warmup_action(rng) for _ in range(4000)])
    deciles = np.quantile(actions, np.linspace(0, 1, 11), axis=0)
    np.testing.assert_allclose(deciles, np.linspace(-1, 1, 11)[:, None].repeat(7, 1), atol=0.08)


def test_the_mode_of_the_warm_up_is_that_of_z_0():
    observation, _ = PointEnv(IMAGE_ALONE).reset(seed=3)
    zero = np.zeros(7, np.float32)
    decoded = decoded_by_hand(zero, observation, IMAGE_ALONE)
    space, prior = PointEnv(IMAGE_ALONE).observation_space, FakePrior(IMAGE_ALONE)
    for view, expected in (
        (LatentView(space, prior, 1.0, Seeing("features")), zero),
        (GuidedView(space, prior, 1.0, Seeing("features")), decoded),
        (DirectView(space, prior, Seeing("features")), None),
    ):
        env = ViewedEnv(PointEnv(IMAGE_ALONE), view)
        env.reset(seed=3)
        assert (env.warmup_mode() is None) if expected is None else True
        if expected is not None:
            np.testing.assert_array_equal(env.warmup_mode(), expected)


def test_no_observation_of_a_robot_is_called_like_what_views_add():
    from parrot_data.episodes.spec import NAME

    assert not NAME.fullmatch(FEATURES)
    assert not NAME.fullmatch(CONTEXT)
