"""Another RL library: stable-baselines3's SAC learns a task by choosing z instead of an action.

It needs a prior; `make repro` leaves one in models/prior.

    python examples/another_library.py --prior models/prior --steps 5000 --scenes 100
"""

import argparse

import gymnasium
import numpy as np
from stable_baselines3 import SAC

from parrot_models.methods.parrot import LatentEnv


def success_rate(env, choose, scenes):
    """Share of scenes, the same at each call, that end in success when `choose` gives each z."""
    successes = 0
    for scene in range(scenes):
        observation, info = env.reset(seed=1_000_000 + scene)
        is_over = False
        while not is_over:
            observation, _, terminated, truncated, info = env.step(choose(observation))
            is_over = terminated or truncated
        successes += info["is_success"]
    return successes / scenes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prior", default="models/prior", help="that parrot train-prior wrote")
    parser.add_argument("--env", default="parrot_data.worlds.tabletop:parrot/PickCup-v0")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    env = LatentEnv(gymnasium.make(asked.env), asked.prior)
    rng, bound, dim = (
        np.random.default_rng(asked.seed),
        env.action_space.high,
        env.action_space.shape,
    )
    sampled = success_rate(env, lambda _: rng.normal(size=dim).clip(-bound, bound), asked.scenes)
    print(f"before, z sampled: {sampled:.2f}", flush=True)
    print(f"before, z = 0:     {success_rate(env, lambda _: np.zeros(dim), asked.scenes):.2f}")

    values = {"learning_starts": 500, "learning_rate": 1e-3, "batch_size": 128, "gamma": 0.95}
    values |= {"ent_coef": 0.02, "seed": asked.seed, "device": "cpu"}
    agent = SAC("MultiInputPolicy", env, **values)
    agent.learn(asked.steps)
    after = success_rate(env, lambda seen: agent.predict(seen, deterministic=True)[0], asked.scenes)
    print(f"after {asked.steps:,} steps: {after:.2f}")
