"""Command lines and values that no one should give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from random import Random

import yaml

from benchmarks.torture.commands import NOTHING
from benchmarks.torture.ground import PARAMS, Ground
from benchmarks.torture.stages import (
    DATA_STAGES,
    EPISODES,
    FILTER,
    FINETUNE,
    GENERATE,
    JUDGE,
    KEPT,
    PRIOR,
    REPORT,
    RUN,
    SHARD,
    SHARDS,
    TRAIN_PRIOR,
    Stage,
)
from benchmarks.torture.trial import Plan, Trial
from benchmarks.torture.verdicts import must_refuse, must_succeed

KIND = "bad input"
SURVIVED = (
    "one sentence (or how the command is used), an exit status other than 0 and no traceback; a "
    "random value may also turn out to be a good one"
)
LONG = "a" * 250
HUGE = str(2**70)

# With every stage: what the first command that reads params.yaml has to see in it.
VALUES = (
    "environment.demonstrations.action_noise=.inf",
    "environment.demonstrations.action_noise=.nan",
    f"generate.num_episodes={HUGE}",
    f"generate.seed={HUGE}",
    "generate.seed=-1",
    "generate.seed=2020-01-01",
    "generate.tasks={[pick]: 1.0}",
    "generate.tasks={{a: 1}: 1.0}",
    "generate.tasks={pick: .nan}",
    "generate.tasks={pick-nothing: 1.0}",
    "environment.demonstrations.num_objects=[3, 2]",
    "generate={}",
    "generate.num_episodes",
    "generate..seed=1",
    "=1",
    f"{LONG}.{LONG}=1",
    "finetune.methods=[parot]",
    "finetune.tasks=[pick-nothing]",
    "finetune.seeds=[0]",
    "finetune.seeds=[minus]",
    "train_prior.learning_rate=.inf",
    "train_prior.flow=affinity",
    "train_prior.encoder={kind: nothing}",
    "train_prior.encoder.kind=vector",
    "train_prior.augment=[miror]",
    "judge.families=[nothing]",
    "environment.name=nothing",
    "environment.name=no_module:make",
    "environment={name: gymnasium}",
    "environment.image_size=0",
    "environment.episode_steps=-1",
)
DATA_LINES: Sequence[tuple[str, ...]] = (
    *((*GENERATE.line("new"), "--set", value) for value in VALUES),
    ("generate", "--out", "new", "--workers", "0"),
    ("generate", "--out", LONG * 2),
    ("generate", "--out", f"{PARAMS}/new"),
    ("generate", "--out", "new", "--params", "data"),
    ("generate", "--out", "new", "--params", f"{EPISODES}/episodes-00000.tar"),
    ("generate", "--out", "new", "--params", "nowhere.yaml"),
    ("generate", "--out", "a\nb/../"),
    ("generate",),
    ("generat", "--out", "new"),
    ("filter", "--episodes", PARAMS, "--out", "new"),
    ("filter", "--episodes", "nowhere", "--out", "new"),
    ("filter", "--episodes", KEPT, "--out", "new"),
    ("shard", "--episodes", KEPT, "--kept", EPISODES, "--out", "new"),
    ("shard", "--episodes", EPISODES, "--kept", PARAMS, "--out", "new"),
    (*SHARD.line("new"), "--set", "shard.episodes_per_tar=0"),
    (*SHARD.line("new"), "--set", f"shard.zstd_level={HUGE}"),
    ("verify", KEPT),
    ("verify", PARAMS),
    ("verify", "nowhere"),
    ("info", PARAMS),
    ("info", LONG * 2),
    ("contact-sheet", "--out", "a.xyz"),
    ("contact-sheet", "--out", "data"),
)
TRAINED_LINES: Sequence[tuple[str, ...]] = (
    ("train-prior", "--data", PARAMS, "--out", "new"),
    ("train-prior", "--data", EPISODES, "--out", "new"),
    (*TRAIN_PRIOR.line("new"), "--threads", "99999999999"),
    (*TRAIN_PRIOR.line("new"), "--device", "abacus"),
    (*TRAIN_PRIOR.line("new"), "--set", "train_prior.encoder={kind: vector}"),
    (*TRAIN_PRIOR.line("new"), "--set", "train_prior.learning_rate=1.0e+30"),
    ("judge", "--model", SHARDS, "--out", "new"),
    ("judge", "--model", PARAMS, "--out", "new"),
    ("judge", "--model", "nowhere", "--out", "new"),
    ("judge", "--model", RUN, "--out", "new"),
    (*JUDGE.line("new"), "--set", "environment.image_size=64"),
    (*JUDGE.line("new"), "--set", "judge.probe.dims=[9]"),
    (*JUDGE.line("new"), "--set", "judge.probe.dims=[7]"),
    (*REPORT.line("new"), "--judged", PARAMS),
    ("pretrain", "--method", "nothing", "--data", SHARDS, "--out", "new"),
    (*FINETUNE.line("new"), "--seed", HUGE),
    (*FINETUNE.line("new"), "--task", "pick-nothing"),
    (*FINETUNE.line("new"), "--method", "parot"),
    (*FINETUNE.line("new"), "--prior", SHARDS),
    (*FINETUNE.line("new"), "--prior", PARAMS),
    (*FINETUNE.line("new"), "--set", "finetune.agent.learning_rate=1.0e+30"),
    (*FINETUNE.line("new"), "--set", "finetune.replay_capacity=1000000000000000"),
    (*FINETUNE.line("new"), "--set", "finetune.env_steps=40"),
    (*FINETUNE.line("new"), "--set", "environment.image_size=64"),
    ("evaluate", PRIOR),
    ("evaluate", PARAMS),
    ("evaluate", RUN, "--prior", "nowhere"),
    (*REPORT.line("new"), "--kept", SHARDS),
    ("report", "--runs", PARAMS, "--out", "new"),
)
# Values that are put in the place of a random key's.
NASTY = (
    *(".inf", "-.inf", ".nan", HUGE, f"-{HUGE}", "1.0e+400", "2020-01-01", "", "null", "[]"),
    *("{}", "{[1]: 2}", "[[[1]]]", "!!python/name:os.system", "&a [*a]", "'\\0'", "é" * 300),
    *("-1", "0", "1.5", "true", "0x10", "1_000", "12:30:45", "'1'", "[.nan]", "{a: .inf}"),
)
FUZZED: Mapping[str, Stage] = {"generate": GENERATE, "environment": GENERATE} | {
    "filter": FILTER,
    "shard": SHARD,
}
FUZZED_TRAINED: Mapping[str, Stage] = {"train_prior": TRAIN_PRIOR, "keypoints": TRAIN_PRIOR} | {
    "judge": JUDGE,
    "finetune": FINETUNE,
}


def trials(plan: Plan) -> Iterator[Trial]:
    """All command lines, then random values for random keys."""
    lines = [*DATA_LINES] if plan.has(*DATA_STAGES) else []
    lines += TRAINED_LINES if plan.has(TRAIN_PRIOR, FINETUNE, REPORT) else []
    for line in lines:
        yield Trial(KIND, "a bad command line", _spelt(line), 0, partial(_refuse, line))
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    yield Trial(KIND, "a terminal without Unicode", "verify", 0, partial(_speak, ascii_only))
    for section, stage in FUZZED.items():
        for number in plan.times(8):
            act = partial(_fuzz, section, stage)
            yield Trial(KIND, "a random value", section, number, act)
    for section, stage in FUZZED_TRAINED.items():
        for number in plan.times(4) if plan.has(stage) else ():
            act = partial(_fuzz, section, stage)
            yield Trial(KIND, "a random value", section, number, act)


def _spelt(line: Sequence[str]) -> str:
    return " ".join(word if len(word) < 80 else f"{word[:12]}..." for word in line)


def _refuse(line: Sequence[str], ground: Ground, random: Random) -> None:
    del random
    with ground.room(*ground.outs) as room:
        must_refuse(room.call(*line))


def _speak(environment: Mapping[str, str], ground: Ground, random: Random) -> None:
    del random
    with ground.room(EPISODES) as room:
        must_succeed(room.call("verify", EPISODES, environment=NOTHING))
        must_succeed(room.call("--help", environment=environment))
        must_succeed(room.call("generate", "--help", environment=environment))
        must_succeed(room.call("tasks", "--measure", "1", environment=environment))


def _fuzz(section: str, stage: Stage, ground: Ground, random: Random) -> None:
    with ground.room(*stage.inputs) as room:
        text = (room.folder / PARAMS).read_text(encoding="utf-8")
        key = f"{section}.{random.choice(sorted(yaml.safe_load(text)[section]))}"
        done = room.call(*stage.line(), "--set", f"{key}={random.choice(NASTY)}")
        if done.code != 0:
            must_refuse(done)
