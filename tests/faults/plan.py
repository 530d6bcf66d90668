"""What a message of the fault suite makes its agent do: written by the client, followed by the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any, Self

PREFIX = "FAULTS "
BETWEEN_MESSAGES = "\n\n"
"""Between two messages of the user that a request joins; none is in the text of a plan."""
TOOLS = ("quick", "slow", "block", "again", "fail", "careful")
_HAS_SECONDS = ("slow", "block", "again")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One reply of the model: so many words, `delay` seconds before each, `reasoning` words first; then calls."""

    words: int
    delay: float = 0.0
    reasoning: int = 0
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps of one run. `token` names the message, in the model's words and the tools' keys, too."""

    token: str
    steps: tuple[Step, ...]

    @classmethod
    def draw(cls, token: str, random: Random) -> Self:
        """A plan by chance: none to three steps with tools, then an answer."""
        steps = [_step_with_tools(token, number, random) for number in range(random.choice((0, 0, 1, 1, 2, 3)))]
        answer = Step(
            words=random.randint(1, 60),
            # The last is for runs that are still going when a process wakes up that was taken for dead.
            delay=random.choice((0, 0, 0.01, 0.03, 0.03, 0.2)),
            reasoning=random.choice((0, 0, 3)),
        )
        return cls(token=token, steps=(*steps, answer))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The plan that a message holds."""
        known = json.loads(text.removeprefix(PREFIX))
        steps = [Step(**{**step, "calls": tuple((name, args) for name, args in step["calls"])}) for step in known[1]]
        return cls(token=known[0], steps=tuple(steps))

    @property
    def text(self) -> str:
        """The message that asks for this plan."""
        steps = [{**vars(step), "calls": [list(call) for call in step.calls]} for step in self.steps]
        return PREFIX + json.dumps([self.token, steps])


def _step_with_tools(token: str, number: int, random: Random) -> Step:
    calls = []
    for index in range(random.choice((1, 1, 1, 2, 3))):
        name = random.choice(TOOLS)
        arguments: dict[str, Any] = {"key": f"{token}/{number}/{index}"}
        if name in _HAS_SECONDS:
            arguments["seconds"] = round(random.uniform(0, 1.5), 2)
        calls.append((name, arguments))
    return Step(words=random.choice((0, 2, 8)), delay=random.choice((0, 0.02)), calls=tuple(calls))
