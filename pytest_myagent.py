"""pytest's plugin of MyAgent: a model with a script, the real server, and no bill for tests.

It is active wherever the package is installed, so it imports nothing of it until a test asks for a fixture.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from myagent.testing import AgentServer, ScriptedLLM

# As in myagent.llm.http.test_guard, which is not imported here.
TEST_LLM, REFUSE = "MYAGENT_TEST_LLM", "refuse"
_BEFORE = pytest.StashKey["str | None"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("myagent").addoption(
        "--allow-real-llm", action="store_true", help="let the tests of agents ask real models"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_llm: the test may ask a real model, see myagent.testing")
    config.stash[_BEFORE] = os.environ.get(TEST_LLM)
    if config.getoption("allow_real_llm"):
        _set(None)
    else:
        _set(REFUSE)


def pytest_unconfigure(config: pytest.Config) -> None:
    _set(config.stash.get(_BEFORE, None))


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, None]:
    """Around a test and its fixtures; servers that it starts inherit the variable."""
    if item.get_closest_marker("real_llm") is None:
        yield
        return
    before = os.environ.get(TEST_LLM)
    _set(None)
    yield
    _set(before)


def _set(value: str | None) -> None:
    if value is None:
        os.environ.pop(TEST_LLM, None)
    else:
        os.environ[TEST_LLM] = value


@pytest.fixture
def scripted_llm() -> Iterator[Callable[..., ScriptedLLM]]:
    """Makes models with a script: `scripted_llm([call("weather", city="Oslo"), "It rains."])`.

    The test fails when replies of a script are left over.
    """
    from myagent.testing import ScriptedLLM

    made: list[ScriptedLLM] = []

    def make(*arguments: Any, **options: Any) -> ScriptedLLM:
        made.append(ScriptedLLM(*arguments, **options))
        return made[-1]

    yield make
    left = sum(llm.remaining for llm in made)
    if left:
        pytest.fail(f"The model was not asked often enough: {left} replies of its script are left.", pytrace=False)


@pytest.fixture
def serve_agent() -> Iterator[Callable[..., AgentServer]]:
    """Starts servers that end with the test: `server = serve_agent("my_agent.py", llm="demo")`.

    Takes what `myagent.testing.AgentServer` takes. What the server logged is shown when the test fails.
    """
    from myagent.testing import AgentServer

    servers: list[AgentServer] = []
    with ExitStack() as stack:

        def start(*agents: Any, **options: Any) -> AgentServer:
            servers.append(stack.enter_context(AgentServer(*agents, **options)))
            return servers[-1]

        yield start
    for server in servers:
        print(server.log)  # noqa: T201 - pytest shows it
