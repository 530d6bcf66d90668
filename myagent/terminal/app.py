"""The terminal client: conversations one after the other, each on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from myagent.client import Client, SessionInfo, stay_connected
from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _
from myagent.terminal.address import Address
from myagent.terminal.chat import Chat
from myagent.terminal.session_lookup import PAGE, find_session, is_beginning
from myagent.terminal.transitions import Leave, OpenSession


class UnknownAgent(MyAgentError):
    """The server has no such agent, or none that this user may use, or it is switched off."""

    code = "agent_not_found"

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        words = _("There is no agent %(name)s. There are: %(known)s")
        super().__init__(words % {"name": name, "known": ", ".join(known) or "-"})


async def converse(
    goal: OpenSession, make_chat: Callable[[OpenSession], Chat], *, address: Address, give_up_after: float | None = None
) -> int:
    """Hold conversations until the user leaves; returns the exit code.

    Raises `UnknownAgent`, `AmbiguousSession`, and what `stay_connected` raises.
    """
    if goal.session_id is not None and is_beginning(goal.session_id):
        goal = await _with_whole_id(goal, goal.session_id, address)
    while True:
        chat = make_chat(goal)
        # A connection for each, so that no more events of the session before arrive.
        async with stay_connected(
            address.spoken_url, token=address.token, on_link=chat.link, give_up_after=give_up_after
        ) as client:
            if goal.session_id is None:
                _check_agent(client, goal.agent)
            following = await chat.run(client)
        if isinstance(following, Leave):
            return following.code
        goal = following


async def _with_whole_id(goal: OpenSession, beginning: str, address: Address) -> OpenSession:
    async with stay_connected(address.spoken_url, token=address.token, give_up_after=0) as client:
        found = await find_session(client, beginning)
    return goal if found is None else replace(goal, session_id=found.session_id)


async def list_sessions(address: Address, *, agent: str | None = None) -> tuple[SessionInfo, ...]:
    """The newest sessions, at most 100. Raises as `converse` does."""
    async with stay_connected(address.spoken_url, token=address.token, give_up_after=0) as client:
        sessions = (await client.list_sessions(agent=agent, limit=PAGE)).sessions
        if not sessions:  # an agent that is switched off is not named and has its sessions all the same
            _check_agent(client, agent)
        return sessions


def _check_agent(client: Client, agent: str | None) -> None:
    if agent is not None and agent not in client.agents:
        raise UnknownAgent(agent, client.agents)
