"""What tests at the real server share beside it: people with tokens, and a server that tests kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.agent_server import AgentServer
from tests.support.backstage import tokens_of
from tests.support.model_replies import smart
from tests.support.model_server import ModelServer


@pytest.fixture(scope="module")
def tokens(running_server: AgentServer) -> dict[str, str]:
    """Of two users of the module's server, ann and bob."""
    return tokens_of(running_server)


@pytest.fixture
def mortal(running_server: AgentServer, model: ModelServer) -> Iterator[AgentServer]:
    """The module's server for tests that kill it: started again where the one before has done so."""
    if running_server.has_ended:
        running_server.start()
    model.reset()
    yield running_server
    model.default = smart
