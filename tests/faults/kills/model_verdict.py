"""What must hold of all that the two models of a round were asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from tests.faults.kills.killed_round import CLOSING, Outcome
from tests.faults.kills.script import CUT, DEAD, FIRST, KEY, SECOND, TWICE, Asked
from tests.faults.kills.terms import FORBIDDEN, LIMITS, MASKED

PROBE_SECONDS = 30.0
MORE_FOR_A_VALUE = 2
"""Calls of the model at a limit where the answer is a value: it is told twice of one that does not fit."""
STREAMS_OF_A_STEP = 3
"""Which have to break off before another model is asked."""


class ModelVerdict:
    """Judges the requests of a round; `run_of` are the runs of the messages in the log, by the messages' ids."""

    def __init__(self, outcome: Outcome, run_of: Mapping[str, str]) -> None:
        self._outcome = outcome
        self._options = outcome.drawn.options
        self._run_of = run_of
        self._asked: dict[str, list[Asked]] = defaultdict(list)
        for asked in outcome.asked:
            self._asked[self._run(asked)].append(asked)

    def _run(self, asked: Asked) -> str:
        """The run that asked: the one that reads the newest message."""
        return self._run_of.get(list(asked.said)[-1], "")

    def of_run(self, run_id: str) -> list[Asked]:
        """The requests of a run."""
        return self._asked[run_id]

    def replies(self, run_id: str) -> list[Asked]:
        """Those of them that were answered."""
        return [asked for asked in self._asked[run_id] if not asked.fault]

    def problems(self) -> Iterator[str]:
        """Everything that is wrong."""
        yield from self._of_what_was_read()
        yield from self._of_probes()
        for run_id, asked in self._asked.items():
            for words in (*self._of_count(run_id, asked), *self._of_key(asked), *self._of_guards(run_id, asked)):
                yield f"run {run_id}: {words}"

    def _of_what_was_read(self) -> Iterator[str]:
        """No request has a message twice or one that is not logged; the last one has all of them."""
        for asked in self._outcome.asked:
            twice = [name for name, text in asked.said.items() if TWICE in text]
            if twice or not asked.said.keys() <= self._run_of.keys():
                yield f"{twice} are there twice, or not logged, of {list(asked.said)}: {asked.body['messages']}"
        last = [asked.said.keys() for asked in self._outcome.asked if CLOSING in asked.said]
        if not last or last[-1] != self._run_of.keys():
            yield f"the last request has {last[-1:]}, logged are {self._run_of.keys()}"

    def _of_count(self, run_id: str, asked: list[Asked]) -> Iterator[str]:
        """A step is asked for once, and once more for each fault, and for each kill that met it before it was stored.

        Its number is that of the replies behind the run's first message.
        """
        first = next(name for name, run in self._run_of.items() if run == run_id) if run_id else ""
        steps = Counter(request.step_since(first) for request in asked)
        # What was answered with a refusal is asked again by nobody but whoever takes the run over.
        faults = Counter(request.step_since(first) for request in asked if request.fault not in ("", KEY))
        again = sum(max(0, count - 1 - faults[step]) for step, count in steps.items())
        if again > len(self._outcome.kills):
            yield f"{len(self._outcome.kills)} kills, and the steps {steps} were asked for, with the faults {faults}"
        if "limits" in self._options:
            most = LIMITS["max_steps"] + 1 + (MORE_FOR_A_VALUE if "output" in self._options else 0)
            if len(steps) > most:
                yield f"it took {len(steps)} steps, allowed are {most}"

    def _of_key(self, asked: list[Asked]) -> Iterator[str]:
        """A refused key is not hidden by the second model."""
        refused = min((request.at for request in asked if request.fault == KEY), default=None)
        if refused is not None and any(request.at > refused and request.model == SECOND for request in asked):
            yield f"it went on behind a refused key: {[(request.model, request.at) for request in asked]}"

    def _of_probes(self) -> Iterator[str]:
        """A process asks a dead model in one step, and no more for half a minute."""
        if self._outcome.cancels or "fallback" not in self._options:
            return  # a run that is cancelled while it waits has found out nothing
        borders = [0.0, *self._outcome.kills, float("inf")]
        for begun, killed in pairwise(borders):
            dead = [
                asked
                for asked in self._outcome.asked
                if asked.fault in DEAD and asked.model == FIRST and begun <= asked.at < killed
            ]
            most = STREAMS_OF_A_STEP if self._outcome.drawn.fails == CUT else 1
            if len(dead) > most and dead[most].at - dead[0].at < PROBE_SECONDS:
                yield f"one process asked a dead model at {[asked.at for asked in dead]}"

    def _of_guards(self, run_id: str, asked: list[Asked]) -> Iterator[str]:
        """What hooks refuse is not sent by the run that they end, and what they mask is not sent by its own run."""
        if "hooks" not in self._options:
            return
        for name, text in self._outcome.drawn.texts.items():
            if self._run_of.get(name) == run_id:
                sent = [request.said[name] for request in asked if name in request.said]
                if FORBIDDEN in text and sent:
                    yield f"{name} was refused, and sent: {sent}"
                if any(MASKED in words for words in sent):
                    yield f"{name} was sent as it is: {sent}"
