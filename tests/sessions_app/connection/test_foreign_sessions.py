"""What is somebody else's and what is not there are told apart by nothing: not by the words, not by a query, not by a
line of our code that runs for one and not for the other.
"""

from __future__ import annotations

import json
import sys
import uuid
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.access.decision import ConnectionRefused, Grant, require_agent
from agents.conf import Config
from agents.loading.registry import LoadedAgent, Registry, set_registry
from myagent import create_react_agent
from myagent.protocol.codec import parse_frame
from myagent.protocol.error_codes import ProtocolError
from sessions_app.connection.consumer import AgentConsumer
from sessions_app.connection.requester import Requester
from sessions_app.delivery.hub import Hub
from sessions_app.delivery.pump import Pump
from sessions_app.services import caller
from tests.support.conversation import every_event
from tests.support.entries import call_of, commit, commit_one, database, new_session, question, reply, running
from tests.support.paths import ROOT

pytestmark = database
OURS = tuple(str(ROOT / name) for name in ("agents/", "sessions_app/", "myagent/"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Database work in this very thread, so that its lines and queries are seen."""

    async def call(function, *args, **kwargs):
        return function(*args, **kwargs)

    monkeypatch.setattr(caller, "in_thread", call)


@pytest.fixture
def registry():
    agents = [create_react_agent(name=name) for name in ("open", "red")]
    now = datetime.now(UTC)
    before = set_registry(Registry(LoadedAgent(agent=agent, source=agent.name, loaded_at=now) for agent in agents))
    yield
    set_registry(before)


class Watched:
    """What a piece of our code does: the lines of it that run, and its queries without the values."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int]] = []

    def _trace(self, frame, event, _argument):
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            self.lines.append((frame.f_code.co_filename, frame.f_lineno))
        return self._trace

    def __enter__(self):
        self._queries = CaptureQueriesContext(connection)
        self._queries.__enter__()
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *error):
        sys.settrace(self._before)
        self._queries.__exit__(*error)

    @property
    def queries(self) -> list[str]:
        """Each query, with the ids in it blotted out."""
        return [without_ids(query["sql"]) for query in self._queries.captured_queries]


def without_ids(text: str) -> str:
    for known in filter(None, IDS):
        text = text.replace(known, "ID").replace(known.replace("-", ""), "ID")
    return text


IDS = ["", ""]
"""A session of Ann's and one that is not there."""


def connection_of(user: User, **rights) -> AgentConsumer:
    consumer = AgentConsumer()
    consumer.engine = SimpleNamespace(journal=SimpleNamespace(is_healthy=True))
    consumer.requester = Requester(
        connection_id="c",
        grant=Grant(kind="token", user_id=user.pk, username=user.username, **rights),
        agent="open",
        pump=Pump("c", Hub(), None, Config()),
    )
    return consumer


def refused(consumer: AgentConsumer, event: dict) -> tuple[Watched, tuple]:
    """What a request did until it was refused, and with which words."""
    parsed = parse_frame(json.dumps(event))
    with Watched() as watched, pytest.raises(ProtocolError) as refusal:
        drive(consumer._handle(parsed))
    error = refusal.value
    assert consumer.requester.pump.attached == ()
    return watched, (error.code, without_ids(str(error)), error.event, error.data)


def drive(coroutine) -> None:
    """Run a coroutine that waits for nothing."""
    coroutine.send(None)
    raise AssertionError("it waits for something")


@pytest.fixture
def foreign_session():
    """A session of Ann's in which a question is open."""
    ann = User.objects.create_user("ann")
    session_id = new_session(user_id=ann.pk)
    IDS[:] = str(session_id), str(uuid.uuid4())
    ref = running(session_id)
    commit(reply(ref, call := call_of(waits=True)))
    commit_one(asked := question(ref, call))
    return str(session_id), asked.step_id


def test_a_foreign_session_takes_the_way_of_none(foreign_session):
    session_id, step_id = foreign_session
    bob = User.objects.create_user("bob")
    own = str(new_session(user_id=bob.pk))
    pairs = zip(*(every_event(key, step_id, own) for key in (session_id, IDS[1])), strict=True)
    for frames in [pair for pair in pairs if own not in str(pair)]:
        refused(connection_of(bob), frames[0])  # once before, so that what is built on first use is there
        theirs, nothing = [refused(connection_of(bob), frame) for frame in frames]
        assert theirs[1] == nothing[1], frames
        assert theirs[0].queries == nothing[0].queries, frames
        assert theirs[0].lines == nothing[0].lines, frames
        assert len(nothing[0].lines) > 3


def test_this_test_would_notice(foreign_session):
    """The same request by the session's own user takes another way."""
    session_id, step_id = foreign_session
    mine = connection_of(User.objects.get(username="ann"))
    event = {"event": "user.reconnect", "session_id": session_id, "last_seq": 10**6}
    parsed = parse_frame(json.dumps(event))
    with Watched() as watched, pytest.raises(ProtocolError) as refusal:
        drive(mine._handle(parsed))
    assert refusal.value.code == "cursor_ahead"
    other, _ = refused(connection_of(User.objects.create_user("bob")), event)
    assert watched.lines != other.lines


@pytest.mark.parametrize("rights", [{"denied": frozenset({"red"})}, {"agents": frozenset({"open"})}])
def test_an_agent_that_one_may_not_use_takes_the_way_of_none(registry, rights):
    bob = User.objects.create_user("bob")
    ways = []
    for name in ("red", "no!"):
        event = {"event": "user.create_session", "content": {"agent": name}}
        refused(connection_of(bob, **rights), event)
        watched, told = refused(connection_of(bob, **rights), event)
        ways.append((watched.lines, watched.queries, told[0], told[1].replace(name, "X")))
    assert ways[0] == ways[1]


@pytest.mark.parametrize("rights", [{"denied": frozenset({"red"})}, {"agents": frozenset({"open"})}])
def test_so_does_a_connection_to_its_path(registry, rights, caplog):
    grant, ways = Grant(kind="token", username="bob", **rights), []
    for name in ("red", "no!"):
        caplog.clear()
        with Watched() as watched, pytest.raises(ConnectionRefused) as refusal:
            require_agent(grant, name, ["open", "red"])
        told = refusal.value
        ways.append((watched.lines, told.close_code, told.code, [text.replace(name, "X") for text in caplog.messages]))
    assert ways[0] == ways[1]
