"""Own environment: from scripted episodes in an environment of yours to a task that was learned.

buttons.py holds the environment and its scripts, buttons.yaml what differs from params.yaml.

    python examples/own_environment.py buttons
    python examples/own_environment.py buttons --set finetune.env_steps=8000
"""

import argparse
import subprocess
from pathlib import Path

COMMANDS = """
    parrot generate --out {out}/all
    parrot filter --episodes {out}/all --out {out}/kept
    parrot shard --episodes {out}/all --kept {out}/kept --out {out}/shards
    parrot train-prior --data {out}/shards --out {out}/prior
    parrot finetune --prior {out}/prior --task first --method parrot --seed 0 --out {out}/run
"""

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of what is made")
    asked, values = parser.parse_known_args()
    for command in COMMANDS.format(out=asked.out.absolute()).strip().splitlines():
        call = [*command.split(), "--params", "buttons.yaml", *values]
        subprocess.run(call, cwd=Path(__file__).parent, check=True)  # where buttons.py is found
