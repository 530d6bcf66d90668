"""The terminal client as a person meets it: a pseudo-terminal, a real server, and the screen read back."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
from pathlib import Path

import pytest

from myagent import i18n
from myagent.cli.chat import main
from tests.conftest import connected
from tests.myagent.cli.test_main import environment, run
from tests.support.agent_server import AgentServer
from tests.support.conversation import ended
from tests.support.model_replies import Status, text, tools
from tests.support.model_server import ModelServer
from tests.support.paths import ROOT
from tests.support.peer import listening, logged, replay_notice
from tests.support.terminal import ALT_ENTER, BACKSPACE, CTRL_C, CTRL_D, ENTER, UP, Terminal

CHAT = [sys.executable, "-m", "myagent.cli.main", "chat"]


@pytest.fixture
def chat(server: AgentServer, tmp_path: Path):
    """Starts the client on the module's server."""
    opened = []

    def start(*arguments: str, url: str = server.url, columns: int = 80, rows: int = 24, **variables: str) -> Terminal:
        known = environment(tmp_path, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "share"), **variables)
        for name in ("EDITOR", "VISUAL", "NO_COLOR", "COLUMNS", "LINES"):
            if name not in variables:
                known.pop(name, None)
        terminal = Terminal([*CHAT, url, *arguments], folder=tmp_path, environment=known, columns=columns, rows=rows)
        opened.append(terminal)
        return terminal

    yield start
    for terminal in opened:
        terminal.__exit__()


@pytest.fixture
def ask(capsys, monkeypatch):
    """Gives the command as a script does, without a terminal; returns the exit code and what it printed."""

    def command(*arguments: str, stdin: str | None = None, **variables: str) -> tuple[int, str, str]:
        for name, value in {"MYAGENT_LANGUAGE": "en", **variables}.items():
            monkeypatch.setenv(name, value)
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(arguments, prog="myagent-ws chat")
        return code, *capsys.readouterr()

    yield command
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


# --- a conversation ---------------------------------------------------------------------------------------------------


def test_from_the_first_question_to_the_way_out(chat, server, model, tmp_path):
    model.script(tools(("add", {"a": 1, "b": 2}), reasoning=["let ", "me add"]), text("The **sum** is 3."))
    terminal = chat(columns=120)
    shown = terminal.wait_prompt()
    assert "MyAgent  tools" in shown and "/help lists the commands" in shown
    terminal.say("What is 1 + 2?")
    shown = terminal.wait("steps: 2")
    assert re.search(r"^❯ What is 1 \+ 2\?$", shown, re.MULTILINE)
    assert re.search(r"^✻ Thought for \d\.\d s: let me add$", shown, re.MULTILINE)
    assert re.search(r"^✓ add\(a=1, b=2\) \d\.\d s → 3$", shown, re.MULTILINE)
    assert shown.count("The sum is 3.") == 1
    terminal.wait_prompt()
    terminal.type(UP)
    terminal.wait_prompt("What is 1 + 2?")
    terminal.type(CTRL_C)  # empties the line
    terminal.wait_prompt()
    terminal.type(CTRL_D)
    assert terminal.wait_exit() == 0
    (session_id,) = re.findall(r"chat ws://\S+ --session (\S+)$", terminal.text, re.MULTILINE)
    assert (tmp_path / "share/myagent/history").stat().st_mode & 0o077 == 0
    again = chat("--session", session_id)
    shown = again.wait_prompt()
    assert shown.count("❯ What is 1 + 2?") == shown.count("The sum is 3.") == 1
    again.type(UP)
    again.wait_prompt("What is 1 + 2?")
    again.type(CTRL_C)
    again.wait_prompt()
    again.type(CTRL_C)
    assert again.wait_exit() == 0


def test_what_is_typed_arrives(chat, model):
    terminal = chat()
    terminal.wait_prompt()
    terminal.type(f"one{ALT_ENTER}two\x1b[200~\nthree\n四\x1b[201~五{BACKSPACE}")
    terminal.type(ENTER)
    terminal.wait("steps: 1")
    assert model.request().messages[-1]["content"] == "one\ntwo\nthree\n四"
    # What is typed while an answer is written waits for its end.
    model.script(answer := text("one two", hang=1), text("three"))
    terminal.say("first")
    terminal.wait(lambda shown: shown.endswith("one"))
    terminal.type(f"second{ENTER}")
    answer.gate.open()
    shown = terminal.wait("\nthree\n\nsteps")
    assert shown.index("one two") < shown.index("❯ second")
    # And after one that fails, too.
    model.script(Status(401, "no such key"), text("fine"))
    terminal.say("hello")
    terminal.wait("(llm_auth)")
    terminal.say("again")
    terminal.wait("fine")


def test_a_narrow_screen_in_chinese(chat, model):
    words = "今天北京天气晴朗，气温二十一度，非常适合外出散步，不需要带伞。"
    model.script(tools(("add", {"a": 1, "b": 2})), text(words))
    terminal = chat("--language", "zh-hans", columns=40)
    terminal.say("今天天气怎么样？")
    shown = terminal.wait("步骤：2")
    assert shown.replace("\n", "").count(words) == 1
    assert "，气温" not in [line[:3] for line in shown.splitlines()]
    assert "继续此会话" not in shown


def test_a_long_answer_flows_out_of_the_screen(chat, model):
    paragraphs = [f"Paragraph {number} of a long answer." for number in range(30)]
    model.script(text("\n\n".join(paragraphs), delay=0.001))
    terminal = chat(rows=12)
    terminal.say("tell me")
    shown = terminal.wait("steps: 1")
    assert re.findall(r"Paragraph \d+ of a long answer\.", shown) == paragraphs


# --- confirmations ----------------------------------------------------------------------------------------------------


def test_confirmations(chat, model, tmp_path):
    file = tmp_path / "written"
    call = tools(("write", {"path": str(file), "text": "one"}))
    terminal = chat(columns=200)
    model.script(call, text("done"))
    terminal.say("yes")
    shown = terminal.wait("[y]es, [n]o or [e]dit?")
    assert "Allow the call of write?" in shown and "Writes a file" in shown and '"one"' in shown
    terminal.type(f"perhaps{ENTER}")
    shown = terminal.wait(lambda shown: shown.count("[y]es, [n]o or [e]dit?") == 2)
    assert "Type y for yes" in shown and not file.exists(), "a slip is no consent"
    terminal.type(f"y{ENTER}")
    terminal.wait("done")
    assert file.read_text() == "one"

    model.script(call, text("well then"))
    terminal.say("no")
    terminal.wait(lambda shown: shown.count("[y]es, [n]o or [e]dit?") == 3)
    terminal.type(f"n not that{ENTER}")
    terminal.wait("well then")
    assert "not that" in model.request(4).messages[-1]["content"]
    assert file.read_text() == "one"

    model.script(call, text("changed"))
    terminal.say("edit")
    terminal.wait(lambda shown: shown.count("[y]es, [n]o or [e]dit?") == 4)
    terminal.type(f"e{ENTER}")
    terminal.wait("JSON: {")
    terminal.type(BACKSPACE * 2 + ENTER)
    terminal.wait(lambda shown: "This is not JSON" in shown and shown.count("JSON: {") == 2)
    terminal.type(f'two"}}{ENTER}')
    terminal.wait(lambda shown: shown.count("[y]es, [n]o or [e]dit?") == 5)
    terminal.type(f"y{ENTER}")
    terminal.wait("changed")
    assert file.read_text() == "oneonetwo"
    assert 'text="onetwo"' in terminal.text, "the call is shown with what it was called with"


def test_arguments_in_an_editor(chat, model, tmp_path):
    file = tmp_path / "written"
    editor = tmp_path / "my editor"
    editor.write_text('#!/bin/sh\nsed -i "s/one/three/" "$1"\n')
    editor.chmod(0o755)
    model.script(tools(("write", {"path": str(file), "text": "one"})), text("done"))
    terminal = chat(EDITOR=f"'{editor}'")
    terminal.say("edit")
    terminal.wait("[e]dit?")
    terminal.type(f"e{ENTER}")
    terminal.wait(lambda shown: shown.count("[e]dit?") == 2)
    terminal.type(f"y{ENTER}")
    terminal.wait("done")
    assert file.read_text() == "three"


async def test_a_question_that_is_over_when_the_editor_is_closed(chat, tmp_path):
    """By a server whose every frame is the test's, which is told what the client has read."""
    editor, opened, closed = tmp_path / "editor", tmp_path / "opened", tmp_path / "closed"
    editor.write_text(f"#!/bin/sh\n> {opened}\nuntil [ -e {closed} ]; do sleep 0.05; done\n")
    editor.chmod(0o755)
    asked = {"tool_name": "danger", "tool_description": "", "tool_args": {"a": 1}, "call_step_id": "c"}
    asked |= {"run_id": "r", "requires_confirmation": True, "scope": "tool", "timeout_seconds": 20}
    async with listening() as peers:
        terminal = chat("--session", "s", url=peers.url, EDITOR=str(editor))
        peer = await peers.next()
        heard = await peer.heard("user.reconnect")
        await peer.say(logged(1, "agent.user_confirm", step_id="q", metadata=asked))
        notice = replay_notice(1, 1, "waiting")
        await peer.say({**notice, "metadata": {**notice["metadata"], **heard["metadata"]}})
        await asyncio.to_thread(terminal.wait, "[e]dit?")
        terminal.type(f"e{ENTER}")
        while not opened.exists():
            await asyncio.sleep(0.05)
        await peer.say(logged(2, "agent.interrupted", content="Over.", metadata={"run_id": "r", "reason": "user"}))
        while (await peer.heard())["last_seq"] < 2:
            pass
        closed.touch()
        await asyncio.to_thread(terminal.wait, "■ Over.")
        shown = await asyncio.to_thread(terminal.wait_prompt)
    assert shown.count("[e]dit?") == shown.count("? danger(a=1)") == 1


@pytest.mark.parametrize("editor", ["vim '", "/no/such/editor"])
def test_an_editor_that_cannot_be_used(chat, model, tmp_path, editor):
    model.script(tools(("write", {"path": str(tmp_path / "written"), "text": "one"})), text("done"))
    terminal = chat(EDITOR=editor, columns=200)
    terminal.say("edit")
    terminal.wait("[e]dit?")
    terminal.type(f"e{ENTER}")
    shown = terminal.wait(lambda shown: shown.count("[e]dit?") == 2)
    assert f"The editor {editor} cannot be used: " in shown and "Nothing was changed." in shown
    terminal.type(f"n{ENTER}")
    terminal.wait("done")


def test_what_was_typed_before_a_question_is_no_answer_to_it(chat, model, tmp_path):
    file = tmp_path / "written"
    first = tools(("write", {"path": str(file), "text": "one"}), hang=0)
    model.script(first, text("done"))
    terminal = chat()
    terminal.say("write")
    assert first.gate.entered.wait(10)
    terminal.wait("Thinking…")
    terminal.type(f"y{ENTER}")
    first.gate.open()
    terminal.wait("[e]dit?")
    terminal.type(f"n{ENTER}")
    terminal.wait("✗ write(")
    assert not file.exists()


async def test_a_question_that_is_answered_elsewhere_goes_away(chat, server, model, tmp_path):
    file = tmp_path / "written"
    model.script(tools(("write", {"path": str(file), "text": "one"})), text("done"))
    async with connected(server) as other:
        session_id = await other.create_session()
        terminal = chat("--session", session_id)
        await asyncio.to_thread(terminal.say, "write")
        question = await other.wait_for("agent.user_confirm")
        await asyncio.to_thread(terminal.wait, "[e]dit?")
        await other.respond(session_id, question.step_id, True)
        shown = await asyncio.to_thread(terminal.wait, "done")
        assert "allowed elsewhere" in shown
        await asyncio.to_thread(terminal.wait_prompt)
    assert file.read_text() == "one"


# --- stopping and leaving ---------------------------------------------------------------------------------------------


def test_ctrl_c_stops_a_run_and_a_second_one_leaves(chat, server, model):
    model.script(tools(("wait", {})))
    terminal = chat()
    terminal.say("wait")
    terminal.wait("wait()")
    terminal.type(CTRL_C)
    shown = terminal.wait("■ The run was cancelled.")
    assert re.search(r"^✗ wait\(\) ", shown, re.MULTILINE)
    model.script(text("still here"))
    terminal.say("hello")
    terminal.wait("still here")
    model.script(tools(("wait", {})))
    terminal.say("wait")
    terminal.wait(lambda shown: shown.count("wait()") == 2)
    server.pause()  # it cannot tell that the run was cancelled
    try:
        terminal.type(CTRL_C)
        terminal.wait("Stopping…")
        terminal.type(CTRL_C)
        assert terminal.wait_exit() == 130
    finally:
        server.resume()


def test_ctrl_c_at_a_question_stops_the_run(chat, model, tmp_path):
    model.script(tools(("write", {"path": str(tmp_path / "written"), "text": "one"})))
    terminal = chat()
    terminal.say("write")
    terminal.wait("[e]dit?")
    terminal.type(CTRL_C)
    terminal.wait("■ The run was cancelled.")
    terminal.wait_prompt()
    assert not (tmp_path / "written").exists()


# --- several places ---------------------------------------------------------------------------------------------------


async def test_what_is_said_elsewhere_is_shown_and_what_is_typed_is_kept(chat, server, model):
    async with connected(server) as other:
        session_id = await other.create_session()
        terminal = chat("--session", session_id)
        await asyncio.to_thread(terminal.wait_prompt)
        terminal.type("half a sen")
        await asyncio.to_thread(terminal.wait_prompt, "half a sen")
        model.script(text("Hello, other."))
        accepted = await other.say(session_id, "it is me")
        await other.wait_for(ended(accepted.run_id))
        shown = await asyncio.to_thread(terminal.wait_prompt, "half a sen")
        while "steps: 1" not in shown:
            shown = await asyncio.to_thread(terminal.wait_prompt, "half a sen")
        assert shown.index("❯ it is me") < shown.index("Hello, other.") < shown.index("half a sen")
        assert shown.count("half a sen") == 1


def test_sessions_are_listed_named_and_resumed(chat, server, model):
    terminal = chat()
    terminal.say("/title A fine title")
    terminal.say("first of all")
    terminal.wait("You said: first of all")
    terminal.say("/new")
    terminal.wait("── New session")
    terminal.say("second of all")
    terminal.wait("You said: second of all")
    terminal.say("/sessions fine")
    shown = terminal.wait("Number of the session to resume")
    assert re.search(r"^  1 +now +A fine title  tools$", shown, re.MULTILINE)
    terminal.type(f"1{ENTER}")
    terminal.wait("── A fine title")
    shown = terminal.wait_prompt().rpartition("── A fine title")[2]
    assert shown.count("❯ first of all") == shown.count("You said: first of all") == 1
    assert "second of all" not in shown
    terminal.say("/resume nowhere")
    shown = terminal.wait("There is no such session")
    terminal.wait(lambda shown: shown.count("You said: first of all") == 3)
    terminal.say("/title Another title")
    terminal.wait("Title: Another title")
    terminal.say("/agents")
    terminal.wait("\n  tools\n")
    for line, words in {
        "/new nobody": "There is no agent nobody. There are: tools",
        "/bogus": "There is no command /bogus.",
        "/title": "Write what is meant: /title TEXT",
        "/quit now": "/quit takes no argument.",
        "/sessions never said": "There are no such sessions.",
        "/help": "list the agents",
        "//etc": "You said: /etc",
    }.items():
        terminal.say(line)
        terminal.wait(words)
    terminal.say("/quit")
    assert terminal.wait_exit() == 0


def test_a_session_is_forked_at_a_message_that_is_chosen(chat, server, model):
    terminal = chat(columns=100)
    terminal.say("/fork")
    terminal.wait("Nothing was said here")
    terminal.say("/title A trip")
    for words in ("Weather in Oslo?", "And in Rome?"):
        terminal.say(words)
        terminal.wait(f"You said: {words}")
    terminal.say("/fork")
    shown = terminal.wait("Number of the message")
    assert re.search(r"^  1 And in Rome\?\n  2 Weather in Oslo\?\n  0 everything up to", shown, re.MULTILINE)
    terminal.type(f"1 And in Bern?{ENTER}")
    shown = terminal.wait("You said: And in Bern?").rpartition("── A trip")[2]
    assert shown.count("❯ Weather in Oslo?") == shown.count("❯ And in Bern?") == 1
    assert "Rome" not in shown
    model.script(text("Sunny."))
    terminal.say("/fork 2")
    shown = terminal.wait("Sunny.").rpartition("── A trip")[2]
    assert shown.count("❯ Weather in Oslo?") == 1 and "Bern" not in shown
    terminal.say("/fork 0")
    terminal.wait(lambda shown: shown.count("── A trip") == 3)
    shown = terminal.wait_prompt().rpartition("── A trip")[2]
    assert shown.count("❯ Weather in Oslo?") == shown.count("Sunny.") == 1
    terminal.say("/fork 7")
    terminal.wait("7 is no number of a message: 1 is the newest of 1, and 0 takes everything.")
    terminal.say("/versions")
    shown = terminal.wait("Number of the session to resume").rpartition("/versions")[2]
    assert len(re.findall(r"^  \d +now +A trip  tools", shown, re.MULTILINE)) == 4
    assert len(re.findall(r"· forked from [0-9a-f]{8}$", shown, re.MULTILINE)) == 3
    terminal.type(f"4{ENTER}")
    shown = terminal.wait(lambda shown: shown.count("── A trip") == 4)
    terminal.wait_prompt()
    assert "You said: And in Rome?" in terminal.text.rpartition("── A trip")[2]
    terminal.say("/sessions trip")
    shown = terminal.wait(lambda shown: shown.count("Number of the session to resume") == 2)
    assert re.search(r"^  1 +now +A trip  tools · 3 more versions", shown, re.MULTILINE)
    assert "  2 " not in shown.rpartition("/sessions trip")[2]


async def begin_sessions(server):
    """More than one list shows, until two of the newest begin with the same letter; returns their ids and that."""
    async with connected(server) as client:
        ids = [await client.create_session(title=f"Number {number}") for number in range(25)]
        while True:
            letters = [each[0] for each in ids[-19:] if each[0].isalpha()]
            if several := [letter for letter in letters if letters.count(letter) > 1]:
                return ids, several[0]
            ids.append(await client.create_session(title=f"Number {len(ids)}"))


def test_sessions_are_found_by_the_beginning_of_their_id(chat, ask, server):
    ids, several = asyncio.run(begin_sessions(server))
    assert ask(server.url, "--session", ids[0][:8], "--once", "by its id") == (0, "You said: by its id\n", "")
    words = f"More than one session begins with {several}. Write more of the id."
    assert ask(server.url, "--session", several, "--once", "x") == (1, "", f"❌ {words}\n")

    terminal = chat()
    terminal.say("/sessions Number")  # the newest 20
    terminal.wait("Number of the session to resume")
    terminal.type(ENTER)
    terminal.say(f"/resume {ids[1][:8]}")
    terminal.wait("── Number 1\n")
    terminal.say(f"/resume {several}")
    terminal.wait(words)
    terminal.say("/resume beef-of-nobody")
    terminal.wait("There is no such session")


# --- the connection ---------------------------------------------------------------------------------------------------


@pytest.fixture
def own_server(tmp_path, model: ModelServer):
    """A server of this test alone, since the test stops it."""
    model.reset()
    with AgentServer(tmp_path, "tools.py", model=model) as server:
        yield server


def test_a_server_that_is_killed_in_the_middle_of_an_answer(chat, own_server, model):
    model.script(text("one two three four", hang=3), text("one two three four five"))
    terminal = chat(url=own_server.url)
    terminal.say("count")
    terminal.wait("one two three")
    own_server.kill()
    terminal.wait("The connection broke. Coming back by itself…")
    own_server.start()
    shown = terminal.wait("steps: 1")
    assert "Connected again." in shown
    assert shown.count("one") == shown.count("one two three four five") == 1
    terminal.say("still there?")
    shown = terminal.wait("You said: still there?")
    assert shown.count("❯ still there?") == 1
    own_server.terminate()
    assert own_server.wait_exit() == 0
    terminal.wait("The server is restarting (1012). Coming back by itself…")
    terminal.say("said while nobody listens")
    own_server.start()
    shown = terminal.wait("You said: said while nobody listens")
    assert shown.count("You said: said while nobody listens") == 1


def test_a_message_that_is_too_large(chat, tmp_path, model):
    with AgentServer(tmp_path, "tools.py", model=model, settings={"MAX_FRAME_BYTES": 1_000}) as server:
        terminal = chat(url=server.url)
        terminal.say("hello")
        terminal.wait("You said: hello")
        terminal.say("x" * 1_000)
        terminal.wait("at most 1,000")
        terminal.wait("❯ xxx")
        terminal.type(CTRL_C)
        terminal.say("and on")
        assert "Connected again" not in terminal.wait("You said: and on")
        model.script(tools(("write", {"path": str(tmp_path / "written"), "text": "one"})), text("done"))
        terminal.say("write")
        terminal.wait("[e]dit?")
        terminal.type(f"n {'y' * 1_000}{ENTER}")
        terminal.wait(lambda shown: shown.count("at most 1,000") == shown.count("[e]dit?") == 2)
        terminal.type(f"n{ENTER}")
        terminal.wait("done")


def test_nobody_listens(ask):
    start = "myagent-ws server my_agent.py --port 1"
    words = f"❌ No server listens on localhost:1. Start one with: {start}\n"
    assert ask("localhost:1", "--once", "hello") == (1, "", words)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--token", "mya_wrong", "--once", "x"], 1, "does not accept this token (4401)"),
        (["--agent", "nobody", "--once", "x"], 1, "There is no agent nobody. There are: tools"),
        (["--session", "nobody", "--once", "x"], 1, "There is no such session"),
        (["--once", " "], 2, "Nothing was asked."),
        (["--list", "--token", "mya_wrong"], 1, "does not accept this token (4401)"),
    ],
)
def test_mistakes(ask, server, arguments, code, words):
    ended_with, printed, errors = ask(server.url, *arguments)
    assert (ended_with, printed) == (code, "")
    assert words in errors


def test_the_sessions_of_an_agent_that_is_switched_off(ask, own_server):
    assert ask(own_server.url, "--once", "hello")[0] == 0
    own_server.manage("agents", "disable", "tools")
    while "There is no agent tools." not in ask(own_server.url, "--agent", "tools", "--once", "more")[2]:
        pass  # until the server has looked
    code, listed, _ = ask(own_server.url, "--agent", "tools", "--list")
    assert code == 0 and "hello" in listed
    session_id = listed.split("\t")[0]
    code, _, errors = ask(own_server.url, "--session", session_id, "--once", "more")
    assert code == 1 and "is switched off" in errors


@pytest.mark.parametrize(
    ("path", "words"), [("ws/nobody/", "(4404)"), ("no/page", "(4404)"), ("?token=mya_wrong", "(4401)")]
)
def test_mistakes_in_the_address(ask, server, path, words):
    code, _, errors = ask(f"{server.url}{path}", "--once", "x")
    assert code == 1
    assert words in errors
    assert "mya_wrong" not in errors


def test_a_server_of_another_kind(ask, model):
    code, _, errors = ask(model.url, "--once", "x")
    assert code == 1
    assert f"❌ {model.url.replace('http', 'ws')} is no MyAgent server (HTTP 404)" in errors


def test_what_is_no_address(ask):
    code, _, errors = ask("ftp://localhost/", "--once", "x")
    assert (code, errors) == (
        2,
        "❌ 'ftp://localhost/' is not the address of a server. Write it like ws://localhost:8080/\n",
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--session", "x", "--agent", "y"], "--agent"),
        (["--once", "x", "--list"], "--list"),
        (["--bogus"], "--bogus"),
    ],
)
def test_arguments_that_do_not_fit(ask, arguments, named, capsys):
    with pytest.raises(SystemExit) as raised:
        ask(*arguments)
    assert raised.value.code == 2
    assert named in capsys.readouterr().err


def test_the_token_of_the_banner(ask, server):
    (token,) = set(re.findall(r"token=(mya_[\w-]+)", server.banner))
    url = server.url.replace("ws://", "http://")
    assert ask(f"{url}?token={token}", "--once", "in the address") == (0, "You said: in the address\n", "")
    assert ask(url, "--once", "in a variable", MYAGENT_TOKEN=token) == (0, "You said: in a variable\n", "")


# --- for scripts ------------------------------------------------------------------------------------------------------


def test_one_answer(ask, server, model):
    model.script(tools(("add", {"a": 1, "b": 2})), text("# The sum\n\nis **3**.\n"))
    assert ask(server.url, "--once", "/add them") == (0, "# The sum\n\nis **3**.\n", "")
    assert model.request(1).messages[-1]["content"] == "/add them"


def test_a_question_from_a_pipe(ask, server):
    before = ask(server.url, "--list")[1]
    assert ask(server.url, stdin="from a pipe\n") == (0, "You said: from a pipe\n", "")
    listed = ask(server.url, "--list")[1]
    assert listed.count("\n") == before.count("\n") + 1
    session_id, _active, *facts = listed.splitlines()[0].split("\t")
    assert facts == ["open", "idle", "tools", "from a pipe"]
    assert ask(server.url, "--session", session_id, "--once", "and again") == (0, "You said: and again\n", "")
    session, *_others = [json.loads(line) for line in ask(server.url, "--list", "--json")[1].splitlines()]
    assert (session["session_id"], session["title"]) == (session_id, "from a pipe")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_question_that_is_too_large(ask, server, options):
    code, _printed, errors = ask(server.url, *options, stdin="x" * 5_000_000)
    assert code == 1
    assert re.fullmatch(r"Not sent: this has 5,000,\d\d\d bytes,[^❌]*at most 4,194,304[^❌]*", errors)


@pytest.mark.parametrize(
    ("arguments", "code", "words"), [(["--once", "hello"], 0, "You said: hello\n"), ([], 2, "❌ Nothing was asked.\n")]
)
def test_a_closed_standard_input(server, tmp_path, arguments, code, words):
    result = run(["sh", "-c", 'exec "$@" <&-', "sh", *CHAT, server.url, *arguments], tmp_path)
    assert (result.returncode, result.stdout + result.stderr) == (code, words)


def test_raw_events(ask, server):
    code, printed, errors = ask(server.url, "--json", "--once", "hello")
    frames = [json.loads(line) for line in printed.splitlines()]
    assert (code, errors) == (0, "")
    assert [frame["event"] for frame in frames][:2] == ["agent.session_created", "system.notice"]
    assert (frames[-1]["event"], frames[-1]["content"]) == ("agent.final_answer", "You said: hello")
    seqs = [frame["seq"] for frame in frames if "seq" in frame]
    assert seqs == sorted(set(seqs))
    # What was there before the question is not printed again.
    session_id = frames[0]["session_id"]
    frames = [
        json.loads(line)
        for line in ask(server.url, "--json", "--session", session_id, "--once", "more")[1].splitlines()
    ]
    assert [frame["content"] for frame in frames if frame["event"] == "agent.final_answer"] == ["You said: more"]


def test_raw_events_of_a_conversation(chat, model):
    terminal = chat("--json", columns=400)
    terminal.wait_prompt()
    terminal.type(f"hello{ENTER}")
    terminal.wait('"event":"agent.final_answer"')
    terminal.wait_prompt()
    terminal.type(CTRL_D)
    assert terminal.wait_exit() == 0
    frames = [json.loads(line) for line in terminal.text.splitlines() if line.startswith("{")]
    assert frames[0]["event"] == "agent.session_created"


def test_a_question_that_is_no_unicode(ask, server):
    """As Python hands on an argument in another encoding than it was told."""
    assert ask(server.url, "--once", "caf\udce9") == (0, "You said: caf\N{REPLACEMENT CHARACTER}\n", "")


def test_a_failed_run_fails(ask, server, model):
    model.script(Status(401, "no such key"))
    code, printed, errors = ask(server.url, "--once", "hello")
    assert (code, printed) == (1, "")
    assert "(llm_auth)" in errors


def test_nobody_can_be_asked(ask, server, model, tmp_path):
    model.script(tools(("write", {"path": str(tmp_path / "written"), "text": "one"})), text("I could not."))
    code, printed, errors = ask(server.url, "--once", "write")
    assert (code, printed) == (0, "I could not.\n")
    assert "write needs a yes" in errors
    assert not (tmp_path / "written").exists()


def test_one_answer_on_a_terminal(chat, model, tmp_path):
    model.script(tools(("write", {"path": str(tmp_path / "written"), "text": "one"})), text("# Done\n\n**at last**"))
    terminal = chat("--once", "write")
    terminal.wait("[e]dit?")
    terminal.type(f"y{ENTER}")
    assert terminal.wait_exit() == 0
    assert terminal.text.endswith("[e]dit? y\nDone\n\nat last")
    assert (tmp_path / "written").read_text() == "one"


def test_one_answer_is_interrupted(chat, model):
    model.script(tools(("wait", {})))
    terminal = chat("--once", "wait")
    terminal.wait("wait()")
    terminal.type(CTRL_C)
    assert terminal.wait_exit() == 130
    assert "■ The run was cancelled." in terminal.text


def test_the_commands(server, tmp_path):
    manage = [sys.executable, str(ROOT / "manage.py"), "chat"]
    for command in (CHAT, manage):
        result = run([*command, server.url], tmp_path, stdin="hello")
        assert (result.returncode, result.stdout, result.stderr) == (0, "You said: hello\n", "")
    assert run([*manage, "localhost:1", "--once", "hello"], tmp_path).returncode == 1
