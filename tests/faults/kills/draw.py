"""What happens in a round, drawn by its seed; when exactly, the machine decides."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Self

from tests.faults.kills.script import BROKEN, CUT, KEY, SILENT
from tests.faults.kills.terms import FORBIDDEN, MASKED

OPTIONS = ("limits", "fallback", "output", "steering", "hooks")
FAILURES = ("", BROKEN, BROKEN, CUT, SILENT, KEY)


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something that is done `delay` seconds after a moment came for the `number`-th time; `name` is a message."""

    kind: str
    moment: str
    number: int
    delay: float
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A round. `mains` are the ids of the messages that are said one after the other, `texts` and `plans` are by id."""

    seed: str
    options: tuple[str, ...]
    mains: tuple[str, ...]
    texts: dict[str, str]
    plans: dict[str, str]
    acts: tuple[Act, ...]
    kills: tuple[Act, ...]
    fails: str
    fails_from: int

    @classmethod
    def by(cls, seed: str) -> Self:
        """The round of this seed: one option, some, or all together."""
        random = Random(seed)
        count = random.choice((1, 1, 2, len(OPTIONS), len(OPTIONS)))
        options = tuple(sorted(random.sample(OPTIONS, count)))
        mains = tuple(f"m{number}" for number in range(random.choice((2, 3))))
        steering = [f"s{number}" for number in range(random.choice((1, 2, 4)))] if "steering" in options else []
        acts = [
            _act(random, random.choice(("steer", "steer", "steer", "steer and withdraw")), name) for name in steering
        ]
        if random.random() < 0.3:
            acts.append(_act(random, "cancel"))
        kills = [_kill(random, steering)]
        if random.random() < 0.35:  # a third one would end the run
            again = Act(kind="kill", moment="started", number=1, delay=random.uniform(0, 1.5))
            kills.append(random.choice((again, _kill(random, steering))))
        return cls(
            seed=seed,
            options=options,
            mains=mains,
            texts={name: _text(random, options) for name in (*mains, *steering)},
            plans={name: _plan(random, options) for name in (*mains, *steering)},
            acts=tuple(acts),
            kills=tuple(kills),
            fails=random.choice(FAILURES) if "fallback" in options else random.choice(("", "", "", KEY)),
            fails_from=random.randint(1, 5),
        )


def _act(random: Random, kind: str, name: str = "") -> Act:
    moment, number = random.choice(
        (("request", random.randint(1, 6)), ("frame", random.randint(1, 40)), ("started", 1), ("accepted", 1))
    )
    return Act(kind=kind, moment=moment, number=number, delay=random.choice((0, random.uniform(0, 0.4))), name=name)


def _kill(random: Random, steering: list[str]) -> Act:
    moments = [("request", random.randint(1, 5)), ("request", random.randint(1, 3)), ("frame", random.randint(2, 20))]
    if steering:
        moments += [("steering", random.randint(1, 2)), ("steered", random.randint(1, 2))]
    moment, number = random.choice(moments)
    delay = random.choice((0, random.uniform(0, 0.03), random.uniform(0, 0.1), random.uniform(0, 0.2)))
    return Act(kind="kill", moment=moment, number=number, delay=delay)


def _text(random: Random, options: tuple[str, ...]) -> str:
    if "hooks" in options:
        return random.choice(("go on", "go on", f"my card is {MASKED}", f"tell what is {FORBIDDEN}"))
    return "go on"


def _plan(random: Random, options: tuple[str, ...]) -> str:
    """See `Script`."""
    if "limits" in options and random.random() < 0.5:
        return random.choice("CS")
    steps = "C" * random.choice((0, 1, 1, 2, 3))
    if "output" in options:
        steps += "B" * random.choice((0, 0, 1, 2, 3))
    return steps + ("X" if "hooks" in options and random.random() < 0.2 else "A")
