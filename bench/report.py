"""What the measured numbers come to: summaries, ratios, budgets, a table and JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from bench.client import Idle, Load
from bench.measuring import FLOOR, OURS, Outcome, Scenario

KIB = 1024
BUDGET_CPU_RATIO = {(1, 20): 1.3, (50, 0): 0.22, (50, 20): 0.46, (200, 0): 0.18, (200, 20): 0.34}
"""For (sessions, ms per token)."""
BUDGET_LONE_P50_RATIO = 1.0
BUDGET_FRAMES = 20.0
BUDGET_IDLE_KIB = 14.0
PACED_MS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A budget for our value (`of="ours"`) or for the ratio to the floor (`of="ratio"`); the bound is allowed."""

    of: str
    bound: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Whether `value` is within the budget."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{'×' if self.of == 'ratio' else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measured thing: both values, the rounds they come from, and the budget if there is one."""

    scenario: str
    measure: str
    unit: str
    values: dict[str, float]
    rounds: dict[str, list[float]]
    limit: Limit | None = None

    @property
    def ratio(self) -> float | None:
        """Ours to the floor; None unless both were measured."""
        if OURS in self.values and self.values.get(FLOOR):
            return self.values[OURS] / self.values[FLOOR]
        return None

    @property
    def kept(self) -> bool | None:
        """Whether the budget is kept; None when there is none or it cannot be told."""
        value = None if self.limit is None else self.ratio if self.limit.of == "ratio" else self.values.get(OURS)
        return None if self.limit is None or value is None else self.limit.holds(value)

    def to_json(self) -> dict[str, object]:
        """This line for programs."""
        return {
            "scenario": self.scenario,
            "measure": self.measure,
            "unit": self.unit,
            "values": self.values,
            "rounds": self.rounds,
            "ratio": self.ratio,
            "budget": None if self.limit is None else str(self.limit),
            "kept": self.kept,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


Measure = Callable[[Load], float]


def _cpu_ms(load: Load) -> float:
    return 1000 * load.server_cpu_seconds / len(load.turns)


def _rate(load: Load) -> float:
    return len(load.turns) / load.wall_seconds


def _p50_ms(load: Load) -> float:
    return 1000 * statistics.median(turn.seconds for turn in load.turns)


def _p99_ms(load: Load) -> float:
    return 1000 * percentile([turn.seconds for turn in load.turns], 0.99)


def _first_event_ms(load: Load) -> float:
    return 1000 * statistics.median(turn.first_event for turn in load.turns)


def _first_text_ms(load: Load) -> float:
    return 1000 * statistics.median(turn.first_text for turn in load.turns)


def _frames(load: Load) -> float:
    """What all answers but one in a hundred have at least."""
    return percentile([turn.frames for turn in load.turns], 0.01)


def _measures(scenario: Scenario) -> list[tuple[str, str, Measure, Limit | None]]:
    """What is told of a load: name, unit, how, and the budget."""
    cpu = BUDGET_CPU_RATIO.get((scenario.sessions, scenario.delay_ms))
    lone = (scenario.sessions, scenario.delay_ms) == (1, 0)
    frames = Limit(of="ours", bound=BUDGET_FRAMES, at_least=True) if scenario.delay_ms == PACED_MS else None
    return [
        ("server CPU per turn", "ms", _cpu_ms, Limit(of="ratio", bound=cpu) if cpu else None),
        ("turns per second", "", _rate, None),
        ("turn p50", "ms", _p50_ms, Limit(of="ratio", bound=BUDGET_LONE_P50_RATIO) if lone else None),
        ("turn p99", "ms", _p99_ms, None),
        ("first event p50", "ms", _first_event_ms, None),
        ("first text p50", "ms", _first_text_ms, None),
        ("frames per answer", "", _frames, frames),
    ]


def lines(outcome: Outcome) -> list[Line]:
    """All that was measured, in the order of the table. A value is the median of its rounds."""
    result: list[Line] = []
    for scenario, sides in outcome.loads.items():
        for measure, unit, of, limit in _measures(scenario):
            rounds = {side: [of(load) for load in loads] for side, loads in sides.items()}
            values = {side: statistics.median(seen) for side, seen in rounds.items()}
            result.append(
                Line(scenario=scenario.name, measure=measure, unit=unit, values=values, rounds=rounds, limit=limit)
            )
    return result + _memory_lines(outcome.memory)


def _memory_lines(memory: dict[str, Idle]) -> list[Line]:
    if not memory:
        return []
    name = f"{max(idle.sessions for idle in memory.values()):,} idle sessions"
    rest = {side: idle.before / KIB / KIB for side, idle in memory.items()}
    each = {side: (idle.after - idle.before) / idle.sessions / KIB for side, idle in memory.items()}
    return [
        Line(scenario=name, measure="memory without them", unit="MiB", values=rest, rounds={}),
        Line(
            scenario=name,
            measure="memory per session",
            unit="KiB",
            values=each,
            rounds={},
            limit=Limit(of="ours", bound=BUDGET_IDLE_KIB),
        ),
    ]


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _spread(line: Line) -> str:
    """The lowest and highest ratio of a round, as a measure of the noise."""
    pairs = zip(line.rounds.get(OURS, ()), line.rounds.get(FLOOR, ()), strict=False)  # one side may not be measured
    ratios = [ours / floor for ours, floor in pairs if floor]
    return f"{_number(min(ratios))}–{_number(max(ratios))}" if len(ratios) > 1 else ""


def table(measured: Sequence[Line]) -> Table:
    """The lines for people."""
    shown = Table("", "ours", "floor", "ratio", "rounds", "budget", "", title="ours against the floor")
    shown.columns[0].no_wrap = True
    for column in shown.columns[1:5]:
        column.justify = "right"
    scenario = None
    for line in measured:
        if line.scenario != scenario:
            scenario = line.scenario
            shown.add_section()
            shown.add_row(f"[bold]{scenario}")
        verdict = {True: "[green]kept", False: "[bold red]MISSED", None: ""}[line.kept]
        shown.add_row(
            f"  {line.measure}{f', {line.unit}' if line.unit else ''}",
            _number(line.values.get(OURS)),
            _number(line.values.get(FLOOR)),
            _number(line.ratio),
            _spread(line),
            str(line.limit or ""),
            verdict,
        )
    return shown
