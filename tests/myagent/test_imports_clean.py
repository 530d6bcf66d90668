"""What `import myagent` costs and touches, and what it offers."""

import subprocess
import sys
import textwrap

import pytest

import myagent


def run(code, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


@pytest.mark.parametrize("module", ["myagent", "myagent.testing", "myagent.protocol.codec", "myagent.llm.demo"])
def test_importing_needs_neither_django_nor_the_model(module):
    done = run(
        f"""
        import sys
        import {module}
        heavy = {{"django", "openai", "channels", "daphne", "twisted", "aiohttp", "dotenv"}}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_reads_no_environment_and_opens_nothing():
    done = run(
        """
        import os, socket
        looked = []
        look_up = type(os.environ).__getitem__
        def watched(environ, key):
            looked.append(key)
            return look_up(environ, key)
        type(os.environ).__getitem__ = watched
        def refused(*args, **options):
            raise AssertionError("a socket was opened")
        socket.socket.connect = refused
        os.environ.get("LLM_PROBE")
        import myagent
        ours = [key for key in looked if key.startswith(("OPENAI", "LLM", "MYAGENT", "DJANGO"))]
        assert ours == ["LLM_PROBE"], ours
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_public_names_are_sorted_and_can_be_imported():
    # Constants, then classes, then functions, as ruff sorts them.
    order = sorted(myagent.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert myagent.__all__ == order
    assert len(set(myagent.__all__)) == len(myagent.__all__)
    for name in myagent.__all__:
        assert getattr(myagent, name) is not None


def test_the_public_names_are_these():
    assert set(myagent.__all__) == {
        "LLM", "Agent", "AgentDefinitionError", "BaseTool", "DemoLLM", "HookedAnswer", "HookedCall", "Image", "Message",
        "MyAgentError", "OpenAILLM", "Refuse", "RetryTool", "RunContext", "RunError", "RunFile", "ToolFailed",
        "ToolResult", "create_react_agent", "create_toolcall_agent", "current_run", "hook", "tool",
    }  # fmt: skip


def test_the_models_are_loaded_at_their_first_use():
    done = run(
        """
        import sys
        import myagent
        from myagent import DemoLLM
        assert DemoLLM.__module__ in sys.modules and "openai" not in sys.modules
        from myagent import OpenAILLM
        assert "openai" in sys.modules
        assert OpenAILLM is myagent.OpenAILLM
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_there_is_no_other_name():
    with pytest.raises(AttributeError, match="'myagent' has no attribute 'OpenAILLMs'"):
        _ = myagent.OpenAILLMs
    assert not hasattr(myagent, "ClaudeLLM")
