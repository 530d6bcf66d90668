"""The plugin `pytest_myagent`, in runs of pytest of its own."""

from __future__ import annotations

import os

import pytest

pytest_plugins = "pytester"

WITHOUT_OTHERS = (
    "-p",
    "no:asyncio",
    "-p",
    "no:django",
    "-p",
    "no:xdist",
    "-p",
    "no:timeout",
    "-p",
    "no:hypothesispytest",
)
TESTS = """
    import asyncio
    import os
    import pytest
    from myagent.exceptions import LLMNotAllowed
    from myagent.llm.http.test_guard import may_ask
    from myagent.messages import Message
    from myagent.llm.openai import OpenAILLM
    from myagent.testing import ScriptExhausted, call

    REAL = "https://api.example.com/v1"

    async def first_chunk(url):
        async for chunk in OpenAILLM("m", api_key="k", base_url=url, max_retries=0).stream([Message.user("hi")]):
            return chunk

    def test_the_real_model_is_refused():
        with pytest.raises(LLMNotAllowed, match="--allow-real-llm"):
            asyncio.run(first_chunk(REAL))
        with pytest.raises(LLMNotAllowed):
            asyncio.run(first_chunk(None))

    def test_one_on_this_machine_is_not():
        assert all(map(may_ask, ["http://localhost:1", "http://a.localhost/", "http://127.0.0.9:1", "http://[::1]/"]))
        assert not any(map(may_ask, ["http://10.0.0.1", "http://localhost.example", "http://[2001:db8::1]/"]))

    @pytest.fixture
    def permission():
        return may_ask(REAL)

    @pytest.mark.real_llm
    def test_allowed(permission):
        assert permission and may_ask(REAL)

    def test_refused_again(permission):
        assert not permission and not may_ask(REAL)

    def test_a_script(scripted_llm):
        from myagent import create_react_agent
        llm = scripted_llm(["Hello."])
        assert asyncio.run(create_react_agent(llm=llm).arun("Hi")) == "Hello."

    def test_replies_are_left(scripted_llm):
        scripted_llm(["Hello.", "never said"])
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A folder with an agent and its tests; nothing of the run around is inherited."""
    for name in ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "MYAGENT_TEST_LLM", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    pytester.makepyfile(test_agents=TESTS)
    return pytester


def test_models_in_tests(project):
    result = project.runpytest_subprocess("--strict-markers", *WITHOUT_OTHERS)
    result.assert_outcomes(passed=6, errors=1)
    result.stdout.fnmatch_lines(["*The model was not asked often enough: 2 replies of its script are left."])


@pytest.mark.slow
def test_with_xdist(project):
    result = project.runpytest_subprocess("-n", "1", "-k", "again or allowed", "-p", "no:django", "-p", "no:asyncio")
    result.assert_outcomes(passed=2)


def test_allowed_for_a_whole_run(project):
    result = project.runpytest_subprocess("--allow-real-llm", "-k", "again", *WITHOUT_OTHERS)
    result.assert_outcomes(failed=1, deselected=5)


def test_the_environment_is_as_it_was_afterwards(project, monkeypatch):
    monkeypatch.setenv("MYAGENT_TEST_LLM", "http://127.0.0.1:1/v1")
    project.runpytest_inprocess("-k", "again or allowed", *WITHOUT_OTHERS).assert_outcomes(passed=2, deselected=4)
    assert os.environ["MYAGENT_TEST_LLM"] == "http://127.0.0.1:1/v1"


def test_a_run_without_agents_pays_nothing(project):
    project.makeconftest(
        """
        import sys

        def pytest_sessionfinish():
            heavy = {"myagent", "django", "openai", "aiohttp", "pydantic", "websockets", "dotenv"}
            assert not heavy & set(sys.modules), heavy & set(sys.modules)
        """
    )
    project.makepyfile(test_agents="def test_nothing():\n    pass\n")
    result = project.runpytest_subprocess(*WITHOUT_OTHERS)
    assert result.ret == 0
    result.assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_server_for_a_test(project):
    project.makepyfile(
        my_agent="""
        from myagent import create_react_agent
        agent = create_react_agent(name="mine")
        """,
        test_agents="""
        import asyncio
        from myagent.testing import ask

        servers = []

        def test_it_answers(serve_agent, scripted_llm):
            server = serve_agent("my_agent.py", llm=scripted_llm(["Hello."]))
            servers.append(server)

            async def talk():
                async with server.connect() as client:
                    return await ask(client, "Hi")

            assert asyncio.run(talk()).answer == "Hello."

        def test_it_has_ended():
            assert servers[0].has_ended

        def test_the_log_is_shown(serve_agent):
            serve_agent("my_agent.py")
            assert False
        """,
    )
    result = project.runpytest_subprocess(*WITHOUT_OTHERS)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*Captured stdout teardown*"])
