"""A model that never comes to an end by itself, and a run that outlives the death of its server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from myagent.client import ServerFrame
from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import ended
from tests.support.model_replies import Reply, text, tools
from tests.support.model_server import ModelServer


class Restless:
    """A model that calls the tool for ever, and answers only where it may not; it hangs in the request `hangs_at`."""

    def __init__(self, path: Path, *, repeats: bool = False, hangs_at: int | None = None) -> None:
        self.path, self.repeats, self.hangs_at = path, repeats, hangs_at
        self.count = 0

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.count += 1
        if self.count == self.hangs_at:
            return text("never heard", hang=1)
        if body.get("tool_choice") == "none":
            return text("That is all.")
        at = "there" if self.repeats else str(sum(message["role"] == "tool" for message in body["messages"]))
        return tools(("look", {"at": at, "into": str(self.path)}))


async def outlives_a_kill(
    server: AgentServer, model: ModelServer, number: int, *, meanwhile: Callable[[], object] = lambda: None
) -> tuple[str, ServerFrame]:
    """The session and the end of a run whose server is killed in the model's request with that number."""
    async with connected(server) as client:
        session_id = await client.create_session()
        run = await client.say(session_id, "look around")
        await asyncio.to_thread(model.request, number)
        await client.wait_for("agent.partial_answer")
        await asyncio.to_thread(server.kill)
    await asyncio.to_thread(meanwhile)
    await asyncio.to_thread(server.start)
    async with connected(server) as client:
        await client.reconnect(session_id)
        return session_id, await client.wait_for(ended(run.run_id))
