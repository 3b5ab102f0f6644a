"""The rule by which an imported episode counts as a success."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from parrot_data.errors import UserError
from parrot_data.exchange.recording import Trajectory, shown

FORMS = "last-reward>=R, key=NAME, length<N or all"
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_FORMS = (
    ("last-reward", re.compile(rf"last-reward>=({_NUMBER})")),
    ("length", re.compile(r"length<([0-9]{1,9})")),
    ("key", re.compile(r"key=([ -~]{1,200})")),
    ("all", re.compile(r"(all)")),
)


@dataclass(frozen=True)
class SuccessRule:
    """How to tell a success.

    Attributes:
        kind: by the last reward, the number of steps, a key of the file, or always.
        limit: of the reward (at least it) or of the steps (fewer).
        key: name of the flag in the file, "" where the rule needs none.
    """

    kind: Literal["last-reward", "length", "key", "all"]
    limit: float = 0.0
    key: str = ""

    def holds(self, trajectory: Trajectory, num_steps: int, where: str) -> bool:
        """Whether an episode is a success.

        Args:
            trajectory: as its file has it.
            num_steps: that are kept of it.
            where: it is, to begin the error with.

        Raises:
            UserError: the episode lacks what the rule asks for, or has no flag of 0 or 1 there.
        """
        if self.kind == "last-reward":
            if trajectory.rewards is None:
                raise UserError(f"{where} has no rewards: name another rule, --success {FORMS}.")
            return float(trajectory.rewards.ravel()[-1]) >= self.limit
        if self.kind == "length":
            return num_steps < self.limit
        return self.kind == "all" or self._flag(trajectory, where)

    def _flag(self, trajectory: Trajectory, where: str) -> bool:
        """The flag of an episode; of one a step, the last."""
        flag, key = trajectory.flag, shown(self.key)
        if flag is None:
            raise UserError(f"{where} has no {key}, which --success names: name another key.")
        last = flag[-1:].ravel() if flag.ndim else flag.ravel()
        if flag.dtype.kind not in "biuf" or last.size != 1 or float(last[0]) not in (0.0, 1.0):
            raise UserError(
                f"{where}: its {key} is no flag of 0 or 1, a step or an episode: name another key "
                "with --success."
            )
        return bool(last[0])


def success_rule(text: str) -> SuccessRule:
    """Read a rule as it is written on the command line.

    Raises:
        UserError: it is no rule.
    """
    for kind, form in _FORMS:
        found = form.fullmatch(text)
        if found and kind == "key":
            return SuccessRule("key", key=found[1])
        if found and kind == "all":
            return SuccessRule("all")
        if found and math.isfinite(float(found[1])):
            return SuccessRule("length" if kind == "length" else "last-reward", float(found[1]))
    raise UserError(f"--success {shown(text)} is no rule: write {FORMS}.")
