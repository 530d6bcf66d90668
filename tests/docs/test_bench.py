"""The benchmark works: not how fast anything is, but that what it counts and checks is true."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from importlib.util import find_spec
from typing import Any

import orjson
import pytest
from django.db import connection
from websockets.asyncio.server import ServerConnection, serve

from tests.support import entries
from tests.support.held_port import held_port
from tests.support.patience import WAIT_SECONDS
from tests.support.services import lacking

for needed in ("fastapi", "psutil", "uvicorn"):
    if find_spec(needed) is None:
        lacking(f"{needed} comes with the extra bench: pip install -e '.[bench]'")

import psutil  # noqa: E402

from bench import connecting, guessing, normalising, probing  # noqa: E402
from bench.__main__ import arguments, plan_from  # noqa: E402
from bench.client import Idle, Load, Turn, WrongAnswer, conversation  # noqa: E402
from bench.measuring import FLOOR, OURS, QUICK, ClientFailed, Outcome, Plan, Scenario, measure  # noqa: E402
from bench.model import CALLS, CITIES, TOKENS, Model, answer, tokens  # noqa: E402
from bench.multiplying import copy_conversations  # noqa: E402
from bench.processes import ROOT, Cores, ServerFailed, environment, serving  # noqa: E402
from bench.report import lines, table  # noqa: E402

LONE = Scenario(sessions=1, delay_ms=0, conversations=1, turns=1)
BUSY = Scenario(sessions=50, delay_ms=20, conversations=50, turns=1)


def plan(*scenarios: Scenario, **options: Any) -> Plan:
    """A plan for the floor alone, which needs nothing else to run."""
    return Plan(
        **{"scenarios": scenarios, "rounds": 1, "idle_sessions": 0, "cores": Cores.split(pin=False), "sides": [FLOOR]}
        | options
    )


def a_load(*, cpu_seconds: float = 1.0, seconds: float = 0.1, frames: int = 25, turns: int = 10) -> Load:
    turn = Turn(seconds=seconds, first_event=0.01, first_text=0.02, frames=frames)
    return Load(turns=[turn] * turns, wall_seconds=2.0, server_cpu_seconds=cpu_seconds)


@pytest.mark.django_db(transaction=True)
def test_copied_conversations_hold_together(tmp_path):
    if connection.vendor != "sqlite":
        pytest.skip("The copies are made in SQLite's file.")
    for entry in map(entries.message, (entries.new_session(), entries.new_session())):
        entries.commit(entry)
    path = tmp_path / "copied.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        connection.connection.backup(database)
        (before,) = database.execute("SELECT count(*) FROM sessions_app_event").fetchone()

    copy_conversations(path, events=before * 5)

    with closing(sqlite3.connect(path)) as database:
        for table, count in (("session", 2), ("run", 2), ("message", 2), ("event", before)):
            found = database.execute(f"SELECT count(*) FROM sessions_app_{table}").fetchone()
            assert found == (count * 5,), table
        assert not database.execute("PRAGMA foreign_key_check").fetchall()


@pytest.mark.slow
def test_floor_client_and_model_work_together():
    told: list[str] = []
    at_once = Scenario(sessions=2, delay_ms=0, conversations=2, turns=2)
    paced = Scenario(sessions=1, delay_ms=1, conversations=2, turns=1)

    outcome = measure(plan(at_once, paced, idle_sessions=3), told.append)

    for scenario, turns in ((at_once, 4), (paced, 2)):
        [load] = outcome.loads[scenario][FLOOR]
        assert len(load.turns) == turns
        for turn in load.turns:
            assert turn.frames == TOKENS
            assert 0 < turn.first_event < turn.first_text <= turn.seconds
    assert outcome.memory[FLOOR].sessions == 3
    assert outcome.memory[FLOOR].before > 0
    assert {line.kept for line in lines(outcome)} == {None}
    assert told[-1] == "1 session, 1 ms per token, round 1 of 1: floor"


def test_a_server_that_does_not_start_is_told_with_its_words():
    command = f"{sys.executable} -c \"raise SystemExit('port {{port}} is haunted')\""

    with pytest.raises(ServerFailed, match=r"port \d+ is haunted"):
        measure(plan(LONE, sides=[OURS], command=command), lambda _: None)


def test_a_server_that_ends_while_it_is_measured_is_told():
    with held_port() as port:
        code = f"import socket; s = socket.create_server(('127.0.0.1', {port})); s.accept(); print('I go', flush=True)"
        with (
            pytest.raises(ServerFailed, match="I go"),
            serving([sys.executable, "-c", code], port=port, env={}, cores=frozenset()) as pid,
        ):
            psutil.wait_procs([psutil.Process(pid)], timeout=WAIT_SECONDS)


def test_a_client_that_fails_ends_the_measurement():
    # Something that listens and is no WebSocket server.
    command = f"{sys.executable} -m bench.model --port {{port}}"

    with pytest.raises(ClientFailed):
        measure(plan(LONE, sides=[OURS], command=command), lambda _: None)


@asynccontextmanager
async def scripted(*frames: dict[str, Any]) -> AsyncIterator[str]:
    """A server that says `frames` to every message; yields its URL."""

    async def handle(socket: ServerConnection) -> None:
        async for raw in socket:
            creating = orjson.loads(raw)["event"] == "user.create_session"
            for frame in [{"event": "agent.session_created", "session_id": "s"}] if creating else frames:
                await socket.send(orjson.dumps(frame).decode())

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def partial(text: str) -> dict[str, Any]:
    return {"event": "agent.partial_answer", "content": text}


def final(text: str) -> dict[str, Any]:
    return {"event": "agent.final_answer", "content": text}


async def test_client_counts_only_frames_with_text():
    text = answer("Oslo")
    notice = {"event": "system.notice", "content": None}
    frames = [notice, partial(text[:9]), partial(text[9:]), partial(""), final(text)]

    async with scripted(*frames) as url, conversation(url) as talk:
        assert (await talk.turn("Oslo")).frames == 2


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([partial(answer("Lima")), final(answer("Lima"))], id="the answer to another question"),
        pytest.param([partial(answer("Oslo")[:-1]), final(answer("Oslo"))], id="a delta is missing"),
        pytest.param([final(answer("Oslo"))], id="not streamed"),
        pytest.param([{"event": "agent.error", "content": "no"}], id="a failed run"),
        pytest.param([{"event": "system.error", "content": "no"}], id="a refused message"),
    ],
)
async def test_client_notices_wrong_answers(frames):
    async with scripted(*frames) as url, conversation(url) as talk:
        with pytest.raises(WrongAnswer):
            await talk.turn("Oslo")


@pytest.mark.parametrize("city", CITIES)
def test_model_says_fifty_tokens_about_each_city(city):
    assert len(tokens(city)) == TOKENS
    assert city in answer(city)


def request_body(*messages: dict[str, str]) -> bytes:
    return orjson.dumps({"model": "bench", "messages": messages})


def test_model_calls_the_tool_each_time_with_a_new_id():
    model = Model(0)
    body = request_body({"role": "user", "content": "How is the weather in Lagos?"})

    first, second = model.reply(body), model.reply(body)

    assert first != second
    assert [len(piece) for piece in first] == [len(piece) for piece in second] == [len(p) for p in CALLS["Lagos"]]


def test_model_refuses_what_it_has_no_answer_to():
    assert "names none of" in Model(0).reply(request_body({"role": "user", "content": "How is the weather?"}))


@pytest.mark.parametrize(
    ("scenario", "ours", "measure_name", "kept"),
    [
        (BUSY, a_load(cpu_seconds=0.46), "server CPU per turn", True),
        (BUSY, a_load(cpu_seconds=0.47), "server CPU per turn", False),
        (BUSY, a_load(frames=20), "frames per answer", True),
        (BUSY, a_load(frames=19), "frames per answer", False),
        (LONE, a_load(seconds=0.1), "turn p50", True),
        (LONE, a_load(seconds=0.11), "turn p50", False),
        (LONE, a_load(frames=1), "frames per answer", None),
    ],
)
def test_budgets_of_a_load(scenario, ours, measure_name, kept):
    outcome = Outcome(loads={scenario: {OURS: [ours], FLOOR: [a_load()]}})

    assert {line.measure: line.kept for line in lines(outcome)}[measure_name] is kept


@pytest.mark.parametrize(("kib", "kept"), [(14, True), (15, False)])
def test_budget_of_an_idle_session(kib, kept):
    outcome = Outcome(memory={OURS: Idle(sessions=10, before=2**20, after=2**20 + 10 * kib * 1024)})

    assert {line.measure: line.kept for line in lines(outcome)}["memory per session"] is kept


def test_a_value_is_the_median_of_its_rounds_and_the_table_has_a_row_for_each():
    rounds = [a_load(cpu_seconds=seconds) for seconds in (9.0, 0.1, 0.2)]
    outcome = Outcome(loads={BUSY: {OURS: rounds, FLOOR: [a_load()] * 3}})

    cpu, *others = lines(outcome)

    assert cpu.values == {OURS: pytest.approx(20.0), FLOOR: pytest.approx(100.0)}
    assert cpu.ratio == pytest.approx(0.2)
    assert cpu.to_json()["rounds"] == {OURS: pytest.approx([900.0, 10.0, 20.0]), FLOOR: pytest.approx([100.0] * 3)}
    assert table([cpu, *others]).row_count == 1 + 1 + len(others)


def test_the_command_line_chooses_what_is_measured():
    chosen = plan_from(arguments(["--quick", "--sessions", "50", "--delay-ms", "20", "--idle", "0"]))

    assert chosen.scenarios == [scenario for scenario in QUICK if (scenario.sessions, scenario.delay_ms) == (50, 20)]
    assert (chosen.rounds, chosen.idle_sessions, chosen.sides) == (1, 0, [OURS, FLOOR])


def test_a_profile_is_of_our_server_alone(tmp_path):
    chosen = plan_from(arguments(["--profile", str(tmp_path / "out.prof")]))

    assert (chosen.sides, chosen.idle_sessions) == ([OURS], 0)


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--command", "./serve"], ["--only", "theirs"]])
def test_bad_options_are_refused(wrong):
    with pytest.raises(SystemExit) as refused:
        arguments(wrong)
    assert refused.value.code == 2


def test_probing_tells_what_differs_and_nothing_else():
    noise = random.Random(7)
    same, slower = ([noise.lognormvariate(5, 0.3) for _ in range(500)] for _ in range(2))
    assert not probing.judge(same, slower).tells
    assert probing.judge([value + 20 for value in same], slower).tells
    assert "can be told apart" in str(probing.judge([value + 20 for value in same], slower))


@pytest.mark.slow
def test_the_admin_is_measured_with_few_conversations():
    command = [sys.executable, "-m", "bench.reading", "--sessions", "12", "--rounds", "1"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment({}), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for page in (
        "sessions, newest first",
        "sessions, search: Chinese",
        "the longest session",
        "a run",
        "events, newest",
    ):
        assert page in done.stdout


@pytest.mark.slow
def test_a_connection_is_measured_while_people_guess(monkeypatch):
    monkeypatch.setattr(guessing, "ROUND_TRIPS", 20)
    line = guessing.line()
    assert line.values["ours"] > 0 and line.ratio is not None
    assert line.kept is not None and "≤" in str(line.limit)


def test_a_history_of_many_messages_is_put_into_the_form_of_a_request():
    assert len(normalising.history()) == normalising.MESSAGES == 400
    line = normalising.line()
    assert line.values["ours"] > 0 and len(line.rounds["ours"]) > 1
    assert line.kept is not None and line.ratio is None


def test_connecting_compares_medians():
    assert connecting.ratio_of({"local": [9.0, 3.0, 1.0], "token": [2.0, 1.5, 80.0]}) == 1.5
