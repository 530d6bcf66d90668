"""What a server says of itself at its start, in terminals of different widths and kinds."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.text import Text

from agents.access.system_user import operator
from agents.conf import Config
from agents.console.banner import MANY, Banner, program, show
from agents.console.labelled_rows import Row, lay_out, takes_links
from agents.loading.registry import LoadedAgent, Registry
from myagent import create_react_agent, i18n, tool

LINK = re.compile(r"\x1b\]8;[^;]*;([^\x1b]*)\x1b\\")
CODE = re.compile(r"\x1b\[[\d;]*m")


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("OPENAI_API_KEY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("agents.console.banner.program", lambda: "myagent-ws")


@tool
def look(city: str) -> str:
    """Looks."""
    return city


def registry(count=1, source="my_agent.py"):
    now = datetime.now(UTC)
    agents = [create_react_agent(name=f"agent-{number}", tools=[look]) for number in range(1, count + 1)]
    sources = [source, *(f"file_{number}.py" for number in range(2, count + 1))]
    loaded = zip(agents, sources, strict=True)
    return Registry([LoadedAgent(agent=agent, source=source, loaded_at=now) for agent, source in loaded])


FACTS = ("outward", "has_layer", "knows_owners", "is_root")


def banner(folder, *, count=1, host="localhost", password=None, source="my_agent.py", **config):
    folder.chmod(0o700)
    facts = {name: config.pop(name) for name in FACTS if name in config}
    config = Config(data_dir=folder, **{"llm": "demo"} | config)
    return Banner(
        config=config,
        registry=registry(count, source),
        host=host,
        port=8080,
        token="mya_" + "x" * 43,
        password=password,
        **facts,
    )


def shown(made, *, width=140, terminal=True):
    """What is written, with all its codes."""
    out = io.StringIO()
    options = {"highlight": False, "markup": False, "emoji": False, "soft_wrap": True}
    show(made, Console(file=out, width=width, force_terminal=terminal, **options))
    return out.getvalue()


def plain(written):
    return CODE.sub("", LINK.sub("", written))


@pytest.mark.parametrize("language", i18n.LANGUAGES)
@pytest.mark.parametrize("width", [60, 80, 140])
def test_nothing_but_what_is_copied_as_a_whole_is_wider_than_the_terminal(tmp_path, monkeypatch, language, width):
    monkeypatch.setattr(i18n, "_language", language)
    made = banner(tmp_path, host="0.0.0.0", allow_origins=("https://app.example",), allow_anonymous=True, debug=True)
    wide = [line for line in plain(shown(made, width=width)).splitlines() if Text(line).cell_len > width]
    assert all(re.search(r"token=|/", line) and " " not in line.strip() for line in wide), wide
    assert len(wide) <= (2 if width == 60 else 1)


def test_what_does_not_fit_beside_its_label_stands_below_it(tmp_path):
    lines = plain(shown(banner(tmp_path), width=60)).splitlines()
    at = lines.index("   With token")
    assert lines[at + 1] == f"   ws://localhost:8080/?token=mya_{'x' * 43}"
    wide = plain(shown(banner(tmp_path), width=140)).splitlines()
    assert f"   With token    ws://localhost:8080/?token=mya_{'x' * 43}" in wide


def test_a_file_gets_one_line_for_each_fact_and_no_codes(tmp_path):
    written = shown(banner(tmp_path, host="0.0.0.0"), terminal=False, width=40)
    assert "\x1b" not in written
    assert "   Who gets in   programs and pages on this machine; from elsewhere users with a token or a" in written


def test_no_color_means_no_colours(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    codes = {code for match in CODE.findall(shown(banner(tmp_path))) for code in match[2:-1].split(";")}
    assert codes <= {"0", "1", "2", "3", "4"}, "bold and dim are no colours"


def test_what_can_be_clicked_is_a_link(tmp_path):
    file = tmp_path / "agent.py"
    file.touch()
    links = set(LINK.findall(shown(banner(tmp_path, source=str(file))))) - {""}
    assert links == {"http://localhost:8080/", "http://localhost:8080/admin/", tmp_path.as_uri(), file.as_uri()}


@pytest.mark.parametrize(("term", "links"), [("xterm", True), ("screen", True), ("linux", False), ("dumb", False)])
def test_terminals_without_links_see_none(term, links):
    console = Console(force_terminal=True, file=io.StringIO())
    assert takes_links(console, {"TERM": term}) is links
    assert not takes_links(console, {})
    assert not takes_links(Console(file=io.StringIO()), {"TERM": term})


@pytest.mark.parametrize(
    ("options", "words", "others"),
    [
        ({}, ["programs and pages on this machine"], ["createtoken", "from other machines"]),
        ({"require_auth": True}, ["users with a token or a login"], ["programs and pages"]),
        ({"trusted_proxies": ("10.0.0.1",)}, ["users with a token or a login"], ["programs and pages"]),
        ({"host": "0.0.0.0"}, ["from other machines", "manage.py createtoken NAME --create-user"], []),
        ({"host": "10.1.2.3"}, ["ws://10.1.2.3:8080/", "manage.py createtoken"], ["from other machines"]),
        ({"host": "::1"}, ["ws://[::1]:8080/"], ["createtoken"]),
        ({"allow_origins": ("https://a.example", "null")}, ["pages of https://a.example, null too"], []),
        ({"allow_anonymous": True}, ["everybody who can reach"], ["at your cost"]),
        ({"allow_anonymous": True, "host": "0.0.0.0"}, ["⚠️  Everybody who can reach port 8080"], ["createtoken"]),
        ({"debug": True}, ["⚠️  With --debug the log holds what users say."], []),
        ({"llm": "openai"}, ["⚠️  No key for the model is set. Set OPENAI_API_KEY"], []),
        ({"password": "pass"}, ["Log in as     user local, password pass (shown only now)"], []),
    ],
)
def test_what_is_open_to_whom(tmp_path, options, words, others):
    written = shown(banner(tmp_path, **options), terminal=False)
    assert [word for word in words if word not in written] == []
    assert [word for word in others if word in written] == []


@pytest.mark.parametrize(
    ("options", "words", "others"),
    [
        ({"host": "0.0.0.0", "outward": ("192.0.2.2",)}, ["http://192.0.2.2:8080/\n", "ALLOWED_HOSTS"], []),
        ({"host": "::", "outward": ("192.0.2.2", "fd00::2")}, ["http://192.0.2.2:8080/", "http://[fd00::2]:8080/"], []),
        ({"host": "0.0.0.0", "allowed_hosts": ("a.example", ".b.example", "*")}, ["http://a.example:8080/"], ["b.ex"]),
        ({"public_url": "https://a.example/chat"}, ["Elsewhere     https://a.example/chat/\n"], ["a.example:8080"]),
        ({"public_url": "https://a.example/chat"}, ["ws://localhost:8080/chat/ws/agent-1/"], ["localhost:8080/ws"]),
        ({"host": "::", "public_url": "https://a.example"}, ["https://a.example/"], ["by an address"]),
        ({"root_path": "/chat"}, ["http://localhost:8080/chat/admin/"], ["Elsewhere"]),
        ({}, [f"on this machine: programs of the user {operator()}"], ["⚠️"]),
        ({"allowed_hosts": ("a.example",)}, ["programs of the user"], ["⚠️"]),
        ({"is_root": True}, ["⚠️  The server runs as root", "--require-auth"], []),
        ({"is_root": True, "require_auth": True}, [], ["⚠️", "programs of the user"]),
        ({"knows_owners": False}, ["⚠️  This system does not tell whose", "--require-auth"], ["programs of the user"]),
        ({"knows_owners": False, "is_root": True}, ["does not tell whose"], ["runs as root"]),
        ({"knows_owners": False, "public_url": "https://a.example"}, ["Who gets in   users with a token"], ["⚠️"]),
        ({"trusted_proxies": ("10.0.0.1",), "knows_owners": False, "is_root": True}, [], ["⚠️"]),
    ],
)
def test_from_where_and_as_whose_program(tmp_path, options, words, others):
    written = shown(banner(tmp_path, **options), terminal=False)
    assert [word for word in words if word not in written] == []
    assert [word for word in others if word in written] == []


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({}, "myagent-ws chat"),
        ({"host": "0.0.0.0"}, "myagent-ws chat"),
        ({"host": "127.0.0.1"}, "myagent-ws chat ws://127.0.0.1:8080/"),
        ({"host": "10.1.2.3"}, f"MYAGENT_TOKEN=mya_{'x' * 43} myagent-ws chat ws://10.1.2.3:8080/"),
        ({"host": "10.1.2.3", "allow_anonymous": True}, "myagent-ws chat ws://10.1.2.3:8080/"),
        ({"require_auth": True}, f"MYAGENT_TOKEN=mya_{'x' * 43} myagent-ws chat"),
        ({"trusted_proxies": ("10.0.0.1",)}, f"MYAGENT_TOKEN=mya_{'x' * 43} myagent-ws chat"),
    ],
)
def test_how_to_talk_to_it(tmp_path, options, command):
    (line,) = [line for line in shown(banner(tmp_path, **options), terminal=False).splitlines() if " chat" in line]
    assert line == f"   Talk to it    {command}"


@pytest.mark.parametrize(
    ("on_the_path", "folder", "shown"),
    [
        (True, ".", "myagent-ws"),
        (False, ".", ".venv/bin/myagent-ws"),
        (False, "elsewhere", "{root}/.venv/bin/myagent-ws"),
    ],
)
def test_a_program_that_is_not_on_the_path_is_called_by_its_own(tmp_path, monkeypatch, on_the_path, folder, shown):
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "myagent-ws").touch(mode=0o755)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / folder)
    monkeypatch.setattr("sys.executable", str(programs / "python"))
    monkeypatch.setenv("PATH", str(programs) if on_the_path else "/nowhere")
    assert program() == shown.format(root=tmp_path)


def test_an_agent_that_is_switched_off_is_told_how_to_be_switched_on(tmp_path):
    made = banner(tmp_path)
    made.registry.set_disabled(["agent-1"])
    assert "manage.py agents enable agent-1" in shown(made, terminal=False)


def test_few_agents_are_shown_with_all_that_is_known(tmp_path):
    written = shown(banner(tmp_path, count=MANY), terminal=False)
    for words in ("agent-4  (file_4.py)", "ws://localhost:8080/ws/agent-4/", "model: demo", "tools: look"):
        assert words in written


def test_many_agents_have_a_row_each(tmp_path):
    written = shown(banner(tmp_path, count=MANY + 1), terminal=False)
    assert "agent-5  (file_5.py)  model: demo, tools: 1\n" in written
    assert "each of them at ws://localhost:8080/ws/NAME/" in written
    assert written.count("/ws/") == 1


def test_a_narrow_terminal_still_has_room_for_words():
    console = Console(file=io.StringIO(), width=20, force_terminal=True)
    lines = [line.plain for line in lay_out([Row(label="Label", value="some words to be broken")], console)]
    assert lines[0] == "   Label"
    assert "".join(lines[1:]).split() == ["some", "words", "to", "be", "broken"]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "3 processes on one port; all servers of this SQLite database are on this machine"),
        (
            {"embedded_database": False},
            "3 processes on one port; servers on other machines, if any, poll (see REDIS_URL)",
        ),
        (
            {"embedded_database": False, "has_layer": True},
            "3 processes on one port; servers on other machines are told of news through Redis",
        ),
    ],
)
def test_workers_are_named_with_what_they_can(tmp_path, facts, words):
    rows = {row.label: row.value for row in banner(tmp_path, workers=3, **facts).rows()}
    assert rows["Workers"] == words
    assert "Workers" not in {row.label for row in banner(tmp_path, **facts).rows()}
