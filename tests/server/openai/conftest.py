"""What tests with OpenAI's client share: the client and the native door of ann, and the client of bob."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from tests.support.agent_server import AgentServer
from tests.support.http_door import HttpDoor
from tests.support.openai_door import openai_client


@pytest.fixture
def token(tokens: dict[str, str]) -> str:
    """That of ann."""
    return tokens["ann"]


@pytest.fixture
async def ann(server: AgentServer, token: str) -> AsyncIterator[AsyncOpenAI]:
    async with openai_client(server, token) as client:
        yield client


@pytest.fixture
async def bob(server: AgentServer, tokens: dict[str, str]) -> AsyncIterator[AsyncOpenAI]:
    async with openai_client(server, tokens["bob"]) as client:
        yield client


@pytest.fixture
async def door(server: AgentServer, token: str) -> AsyncIterator[HttpDoor]:
    async with HttpDoor(server, token) as client:
        yield client
