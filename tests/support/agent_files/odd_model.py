"""A model whose code raises what ends programs, as the client of a library may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from myagent import create_react_agent
from myagent.llm import Chunk, Reply, Usage
from myagent.messages import Message

ODD = {
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
    "cancel": asyncio.CancelledError(),
    "leave": GeneratorExit(),
    "stop": StopAsyncIteration(),
}


class OddModel:
    model = "odd"

    async def stream(self, messages: Sequence[Message], *, tools: Sequence[Any] = ()) -> AsyncIterator[Chunk]:
        if (error := ODD.get(messages[-1].content)) is not None:
            raise error
        yield Reply(Message(role="assistant", content="fine"), Usage(llm_calls=1), finish="stop")


agent = create_react_agent(name="odd", llm=OddModel(), system_prompt="You answer.")
