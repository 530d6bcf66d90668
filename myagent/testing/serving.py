"""The real server with agent files, for a test: a process on a free port, with a data folder of its own.

The process loads agents from files and modules, so an agent that exists in the test's memory only cannot be served. A
model can stay in the test: the server then asks it over HTTP on this machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
from asyncio import to_thread
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Self

import myagent
from myagent.agent import Agent
from myagent.client import Client, connect
from myagent.i18n import LANGUAGES, find_language
from myagent.llm import LLM
from myagent.llm.http.test_guard import TEST_LLM
from myagent.testing.server_process import ServerProcess

# What leads to other people's data. Empty and not taken away, or else a `.env` of the project would set it again.
_ELSEWHERE = (
    *("DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS", "MYAGENT_TRUSTED_PROXIES", "MYAGENT_AGENTS"),
    *("MYAGENT_SECRET_KEY", "MYAGENT_SECRET_KEY_FALLBACKS"),
)
_KEPT = ("MYAGENT_LANGUAGE", TEST_LLM)
_THIS_MACHINE = "127.0.0.1,localhost"


class AgentServer(ServerProcess):
    """A context manager: the server listens inside the block. `url` is where, `connect()` gives a client.

    `agents` are files, folders, dotted modules, or Agent objects that are the `agent` of an imported module. `llm`
    answers for all of them: an object such as a ScriptedLLM, which stays in this process, or "demo"; None leaves each
    its own. (One that is no `OpenAILLM` and stands in the agent's file keeps answering for that agent.) `options` are
    further words of the command line, `environment` further variables; None takes one away.

    Raises `ServerFailed` when the server does not start, and at the end what went wrong in the model's script.
    """

    def __init__(
        self,
        *agents: str | Path | Agent,
        llm: LLM | Literal["demo"] | None = None,
        language: str | None = None,
        options: Sequence[str] = (),
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        if language is not None and find_language(language) is None:
            raise ValueError(f"language={language!r}: choose one of {', '.join(LANGUAGES)}.")
        if not agents:
            raise ValueError("Name at least one agent: a file such as 'my_agent.py'.")
        self._arguments = [source_of(agent) for agent in agents]
        self._arguments += ["--llm", "demo"] if llm == "demo" else []
        self._arguments += ["--language", language] if language is not None else []
        self._arguments += options
        self._llm = None if llm is None or llm == "demo" else llm
        self._given = dict(environment or {})
        self._resources = ExitStack()
        super().__init__(self._line, folder=Path.cwd(), environment={})

    def connect(self, agent: str = "", **options: Any) -> AbstractAsyncContextManager[Client]:
        """A connection, to the first agent unless one is named; `options` are those of `myagent.client.connect`."""
        return connect(f"{self.url}ws/{agent}/" if agent else self.url, **options)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            model_url = None
            if self._llm is not None:
                # aiohttp takes a third of a second, which tests without a server need not wait for.
                from myagent.testing.llm_endpoint import LLMEndpoint

                endpoint = LLMEndpoint(self._llm)
                stack.callback(_raise_first, endpoint.failures)
                model_url = stack.enter_context(endpoint.serving_in_thread())
            self._start_in(stack, model_url)
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._resources.__exit__(*error)

    @asynccontextmanager
    async def _on_this_loop(self) -> AsyncIterator[None]:
        """Like `with`, but the model answers on the running loop, which is not held up meanwhile."""
        async with AsyncExitStack() as stack:
            model_url = None
            if self._llm is not None:
                from myagent.testing.llm_endpoint import LLMEndpoint  # see __enter__

                endpoint = LLMEndpoint(self._llm)
                stack.callback(_raise_first, endpoint.failures)
                model_url = await stack.enter_async_context(endpoint.serving())
            resources = ExitStack()
            stack.push_async_callback(to_thread, resources.close)
            await to_thread(self._start_in, resources, model_url)
            yield

    def _start_in(self, stack: ExitStack, model_url: str | None) -> None:
        data = stack.enter_context(tempfile.TemporaryDirectory(prefix="myagent-test-"))
        self._environment = _environment(data, model_url, self._given)
        stack.callback(self.stop)
        self.start()

    def _line(self, port: int) -> list[str]:
        server = [sys.executable, "-m", "myagent.cli.server", *self._arguments]
        return [*server, "--host", "127.0.0.1", "--port", str(port), "--drain-seconds", "0"]


@asynccontextmanager
async def serve(*agents: str | Path | Agent, **options: Any) -> AsyncIterator[Client]:
    """The same for a test that needs only a client; takes the arguments of `AgentServer`.

    The model answers on the running loop, so that all of a `ScriptedLLM` can be used: `gate`, and `await llm.asked()`.
    """
    server = AgentServer(*agents, **options)
    async with server._on_this_loop(), server.connect() as client:
        yield client


def source_of(agent: str | Path | Agent) -> str:
    """What the server has to be given to load `agent`. Raises `ValueError` when it stands in no file."""
    if not isinstance(agent, Agent):
        return str(agent)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and vars(module).get("agent") is agent:
            return str(file)
    raise ValueError(
        f"The agent {agent.name!r} is not the `agent` of any module. The server is a process of its own and loads "
        "agents from files: name the file, and give the model with llm=."
    )


def _environment(data: str, model_url: str | None, given: Mapping[str, str | None]) -> dict[str, str]:
    """The variables of the server: those of this process, but with nothing that lies elsewhere."""
    here = {name: value for name, value in os.environ.items() if not name.startswith("MYAGENT_") or name in _KEPT}
    foreign = dict.fromkeys(_ELSEWHERE, "")
    own: dict[str, str | None] = {"MYAGENT_DATA_DIR": data, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    own["OTEL_SDK_DISABLED"] = "true"
    # That of the tests of a Django project means the project.
    own["DJANGO_SETTINGS_MODULE"] = "myagent_site.settings"
    home = Path(myagent.__file__).resolve().parent.parent
    if home.name != "site-packages":
        own["PYTHONPATH"] = os.pathsep.join(filter(None, [str(home), os.environ.get("PYTHONPATH")]))
    if model_url is not None:
        own[TEST_LLM] = model_url
        own["NO_PROXY"] = own["no_proxy"] = _THIS_MACHINE
    together = {**here, **foreign, **own, **given}
    return {name: value for name, value in together.items() if value is not None}


def _raise_first(failures: Sequence[BaseException]) -> None:
    if failures:
        raise failures[0]
