"""Own data: a script of yours moves a robot of panda-gym, and Parrot reads what it recorded.

The script picks the block up and carries it about, to places of its own. Of the goal that panda-gym
draws it knows nothing, and so will a prior: where the block has to go is left to be learned.

    python examples/own_data.py --out panda.npz --episodes 800
    parrot import panda.npz --format npz --success key=held --bounds -1 1 --out panda/all

`make study-panda` does this and all that follows, up to agents beside those of SAC.
"""

import argparse

import gymnasium
import numpy as np

STEPS, ABOVE = 50, np.array([0, 0, 0.08])  # of an episode; m, from where the block is approached


def draw_place(rng):
    """Where to carry it: above the table, or on it three times in ten."""
    return np.append(rng.uniform(-0.2, 0.2, 2), 0.02 + (rng.random() > 0.3) * rng.uniform(0, 0.25))


def record_episode(env, rng, seed):
    """Observations (STEPS + 1), actions (STEPS, 4), and whether the block was held at the end."""
    seen, actions = [env.reset(seed=seed)[0]], []
    place, slip = draw_place(rng), rng.normal(0, 0.02, 3) * [1, 1, 0]  # first it aims a little off
    for _ in range(STEPS):
        block, slip = seen[-1]["achieved_goal"], slip * 0.7
        fingers, off = seen[-1]["observation"][6], block - seen[-1]["observation"][:3]
        if np.linalg.norm(place - block) < 0.03 or rng.random() < 0.2:  # it changes its mind
            place = draw_place(rng)
        holds = np.linalg.norm(off) < 0.035 and fingers < 0.045
        is_over = np.linalg.norm(off[:2]) < 0.012
        closes = holds or (is_over and abs(off[2]) < 0.012)
        approach = off + slip + (0 if is_over else ABOVE)
        aim = (place - block + off) / 0.1 if holds else approach / 0.05
        action = np.append(aim.clip(-0.7, 0.7), -1 if closes else 1) + rng.normal(0, 0.2, 4)
        actions.append(action.clip(-1, 1).astype(np.float32))
        seen.append(env.unwrapped.step(actions[-1])[0])  # unwrapped: a success does not end it
    return seen, actions, holds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="the file, .npz")
    parser.add_argument("--episodes", type=int, default=800)
    asked = parser.parse_args()
    env, rng = gymnasium.make("panda_gym:PandaPickAndPlace-v3"), np.random.default_rng(0)
    rows = {"actions": [], "terminals": [], "held": []}
    for episode in range(asked.episodes):
        seen, actions, held = record_episode(env, rng, episode)
        rows["actions"] += actions
        rows["terminals"] += [0] * (STEPS - 1) + [1]
        rows["held"].append(float(held))
        for name in seen[0]:
            rows.setdefault(f"observations/{name}", []).extend(s[name] for s in seen[:-1])
            rows.setdefault(f"next_observations/{name}", []).extend(s[name] for s in seen[1:])
    np.savez(asked.out, **{name: np.array(values, np.float32) for name, values in rows.items()})
