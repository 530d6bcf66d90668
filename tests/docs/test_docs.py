"""What the documentation says is so: events, codes, settings, snippets and commands are tried out."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import inspect
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agents.access.decision import Grant
from agents.conf import Config
from agents.loading.loader import load_agent
from agents.loading.registry import Registry
from agents.web.api import usable_agents
from myagent import Agent, BaseTool, exceptions
from myagent.cli.main import COMMANDS
from myagent.protocol import direct_events, server_events
from myagent.protocol import error_codes as errors
from myagent.protocol.codec import CLIENT_EVENT_NAMES, parse_frame
from myagent.protocol.server_base import ServerEvent
from myagent.tool.function_tool import OPTIONS
from sessions_app.files.file_kinds import FileKind
from sessions_app.files.file_parts import file_of, url_of, with_facts
from sessions_app.files.file_store import FileFacts
from sessions_app.journal.entries.recovery import POISONED
from tests.myagent.cli.test_main import COMMAND, environment, run, serving
from tests.support.markdown import blocks
from tests.support.paths import ROOT
from tests.support.services import module

PAGES = ["README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md"] + [
    f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")) if not page.name.endswith(".zh.md")
]
TRANSLATED = {
    f"docs/{page.name.replace('.zh.', '.')}": f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.zh.md"))
}
"""Chinese pages beside English ones, whose code is tried there."""
PROTOCOL = "docs/protocol.md"
ENVELOPE = {"event", "timestamp", "session_id", "step_id", "content", "metadata", "seq", "event_id"}
LOGGED = tuple(
    kind for _, kind in inspect.getmembers(server_events, inspect.isclass) if kind.__module__ == server_events.__name__
)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def event_classes() -> list[type[ServerEvent]]:
    """Every kind of event that a server can send."""
    kinds = [
        kind
        for module in (server_events, direct_events)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, ServerEvent) and kind is not ServerEvent
    ]
    return sorted(kinds, key=lambda kind: kind.__name__)


def name_of(kind: type[ServerEvent]) -> str:
    return str(kind.model_fields["event"].default)


SERVER_EVENT_NAMES = frozenset(map(name_of, event_classes()))
CLIENT_EXAMPLES = blocks(PROTOCOL, mark="client")
SERVER_EXAMPLES = blocks(PROTOCOL, mark="server")


def at(block) -> str:
    return f"{block.heading}, line {block.line}"


@pytest.mark.parametrize("name", PAGES)
def test_no_page_holds_the_marks_of_a_merge(name):
    assert not re.search(r"^(<{7}|={7}|>{7})( |$)", page(name), flags=re.MULTILINE)


# --- the protocol -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CLIENT_EVENT_NAMES | SERVER_EVENT_NAMES))
def test_every_event_has_its_heading(name):
    assert page(PROTOCOL).count(f"\n### {name}\n") == 1


@pytest.mark.parametrize("name", sorted(CLIENT_EVENT_NAMES))
def test_every_event_of_a_client_has_an_example(name):
    assert name in {block.heading for block in CLIENT_EXAMPLES}


@pytest.mark.parametrize("block", CLIENT_EXAMPLES, ids=at)
def test_an_example_of_a_client_is_understood(block):
    assert parse_frame(block.text).event == block.heading


def kind_of(frame: dict) -> type[ServerEvent]:
    """The class of a server's frame; fails unless it is exactly what that class would send."""
    is_logged = "seq" in frame
    body = {key: frame[key] for key in ("event", "step_id", "content", "metadata") if key in frame}
    if not is_logged:
        # Given back on the way out, to whoever asked; no field of the event.
        body["metadata"] = {key: value for key, value in body["metadata"].items() if key != "request_id"}
    (kind,) = [
        kind
        for kind in event_classes()
        if name_of(kind) == frame["event"] and is_logged == (kind in LOGGED) and "content" in frame
    ]
    event = kind.model_validate(body)
    assert event.metadata.model_dump(exclude_none=True) == body["metadata"]
    return kind


@pytest.mark.parametrize("block", SERVER_EXAMPLES, ids=at)
def test_an_example_of_the_server_is_what_it_sends(block):
    frame = json.loads(block.text)
    assert frame["event"] == block.heading
    assert frame.keys() <= ENVELOPE
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", frame["timestamp"])
    kind_of(frame)
    if "seq" in frame:
        assert frame["event_id"] == f"{frame['session_id']}-{frame['seq']}"
    else:
        assert "event_id" not in frame


def test_every_event_of_the_server_has_an_example():
    shown = {kind_of(json.loads(block.text)) for block in SERVER_EXAMPLES}
    assert [kind.__name__ for kind in event_classes() if kind not in shown] == []


def test_every_block_of_json_is_an_example():
    assert all(
        block.mark in ("client", "server", "api", "files", "part") for block in blocks(PROTOCOL, language="json")
    )


def test_the_list_of_agents_is_what_the_api_sends(folder):
    (block,) = blocks(PROTOCOL, mark="api")
    file = (folder / "my_agent.py").rename(folder / "agent_of_the_api.py")  # the other name is for other tests
    registry = Registry.from_sources([str(file)])
    assert json.loads(block.text) == {"agents": usable_agents(Grant(kind="local"), registry)}


def test_a_file_is_what_an_upload_answers_and_a_message_names():
    ((upload,), (said,)) = blocks(PROTOCOL, mark="files"), blocks(PROTOCOL, mark="part")
    (file,) = json.loads(upload.text)["files"]
    part = json.loads(said.text)
    file_id = file_of(part)
    assert file == {"file_id": str(file_id)} | {key: file[key] for key in ("name", "type", "size")} | {
        "url": url_of(file_id)
    }
    kind = FileKind(file["type"])
    facts = FileFacts(file_id, file["name"], kind, file["size"], sha256="", location="")
    assert with_facts([{"type": "image_url", "image_url": {"url": file["url"]}}], {file_id: facts}) == [part]


def section(name: str, heading: str) -> str:
    """What a page says under a heading of the second level."""
    (text,) = [part for part in re.split(r"^## ", page(name), flags=re.MULTILINE) if part.startswith(f"{heading}\n")]
    return text


@pytest.mark.parametrize("code", [str(code) for code in errors.ErrorCode])
def test_every_error_code_is_explained(code):
    assert f"\n| `{code}` | " in section(PROTOCOL, "Error codes")


def run_errors(kind=exceptions.RunError) -> set[str]:
    return {kind.code}.union(*(run_errors(child) for child in kind.__subclasses__()))


@pytest.mark.parametrize("code", sorted(run_errors() | {POISONED}))
def test_every_code_of_a_failed_run_is_explained(code):
    assert f"`{code}`" in section(PROTOCOL, "Error codes").partition("ends a run:")[2]


@pytest.mark.parametrize("code", sorted(v for k, v in vars(errors.CloseCode).items() if k.isupper()))
def test_every_close_code_is_explained(code):
    assert f"\n| {code} | " in section(PROTOCOL, "Close codes")


# --- settings and options ---------------------------------------------------------------------------------------------


def default_of(field: dataclasses.Field) -> str:
    """A default as the table writes it."""
    match field.default:
        case ():
            return "none"
        case tuple() | Path() | str():
            return f"`{field.default}`"
        case bool():
            return f"`{field.default}`"
        case None:
            return "none"
        case number:
            return f"{number:,}"


@pytest.mark.parametrize("field", dataclasses.fields(Config), ids=lambda field: field.name)
def test_every_setting_is_documented_with_its_default(field):
    table = page("docs/operations.md").partition("\n| key | default |")[2]
    rows = re.findall(rf"^\| `{field.name.upper()}` \| ([^|]+) \| [^|]+ \|", table, re.MULTILINE)
    assert rows == [default_of(field)]


def variables() -> set[str]:
    """The environment variables that the settings and the library read."""
    settings = page("myagent_site/settings.py")
    library = page("myagent/llm/http/endpoint.py") + page("myagent/llm/openai.py")
    found = set(re.findall(r"""env\.\w+\("([A-Z_]+)""", settings))
    for names in re.findall(r"""\bsetting\(([^)]+)\)""", library):
        found |= set(re.findall(r'"([A-Z_]+)"', names))
    return found


def test_the_variables_are_found():
    assert {"DATABASE_URL", "REDIS_URL", "MYAGENT_DATA_DIR", "OPENAI_API_KEY", "LLM_MODEL"} <= variables()


@pytest.mark.parametrize("name", sorted(variables()))
def test_every_variable_is_documented(name):
    assert f"| `{name}` |" in page("docs/operations.md")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_the_command_is_in_both_readmes(command, tmp_path):
    told = run([sys.executable, "-m", "myagent.cli.main", command, "--help"], tmp_path).stdout
    options = set(re.findall(r"^  (--[a-z-]+)", told, re.MULTILINE))
    assert "--language" in options
    for readme in ("README.md", "README.zh.md"):
        assert {option for option in options if f"| `{option}" not in page(readme)} == set(), readme


def test_every_finding_of_the_check_is_documented():
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "myagent" / "inspection").glob("*.py"))
    codes = set(re.findall(r'_(?:finding|warning)\(\s*"(\w+)"', sources))
    assert {"no_description", "dangerous_tool", "parameter_unfillable"} <= codes
    assert {code for code in codes if f"`{code}`" not in section("docs/agents.md", "Checking")} == set()


@pytest.mark.parametrize("name", sorted(field.name for field in dataclasses.fields(Agent)))
def test_every_option_of_an_agent_is_documented(name):
    for agents in ("docs/agents.md", "docs/agents.zh.md"):
        assert f"| `{name}` |" in page(agents)
        (everything,) = (block.text for block in blocks(agents, language="python") if '"everything"' in block.text)
        assert f"    {name}=" in everything


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_attribute_of_a_tool_is_documented(name):
    assert hasattr(BaseTool, name)
    assert f"| `{name}` |" in page("docs/agents.md")


# --- files and links --------------------------------------------------------------------------------------------------


FILES_NAMED = sorted(
    {
        name
        for file in ("docs/design.md", "docs/security.md", "CONTRIBUTING.md")
        for name in re.findall(r"\b(?:tests|bench|myagent|agents|sessions_app)/[\w/]+\.py", page(file))
    }
)


@pytest.mark.parametrize("name", FILES_NAMED)
def test_the_files_that_a_page_names_exist(name):
    assert (ROOT / name).is_file()


def test_the_design_names_the_tests_of_its_promises():
    assert sum(name.startswith("tests/") for name in FILES_NAMED) > 50


PROMISES = [
    row
    for row in re.findall(r"^\| (.+) \| (.+) \|$", section("docs/security.md", "What is promised"), re.MULTILINE)
    if row != ("promise", "tests")
]
"""What is promised about security, and what holds it."""


@pytest.mark.parametrize(("promise", "tests"), PROMISES, ids=[promise[:40] for promise, _ in PROMISES])
def test_a_promise_about_security_names_its_tests(promise, tests):
    assert re.fullmatch(r"(`(tests|bench)/[\w/]+\.py`(, )?)+", tests), promise


def test_promises_about_security_are_found():
    assert len(PROMISES) > 25


def anchors(name: str) -> set[str]:
    """What a link to a heading of the page may end with, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", page(name), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [*PAGES, *TRANSLATED.values()])
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page(name)):
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(str(file.resolve().relative_to(ROOT))), target


MARKS = {
    *("agent", "api", "chat", "client", "command", "file: my_agent.py", "files", "part", "pytest", "run", "serve"),
    "server",
    # tests/docs/test_scripts.py
    *("http", "install", "javascript", "make", "move", "script", "settings", "shared database", "sql"),
    *("unit", "variables"),
    # tests/docs/test_deploy.py
    "deploy",
    # tests/server/test_rolling_restart.py
    "command with workers",
    # tests/server/test_proxy.py
    *("caddy", "file: production.py", "nginx", "production"),
    "pgbouncer",  # tests/server/test_pooler.py
}
CLIENT_MARKS = {
    # tests/agents/web/test_chat_element.py
    "element",
    # tests/docs/test_clients.py, tests/docs/test_http.py
    *("by hand", "file: shop.py", "prints", "serves the clients"),
    *(f"client: {kind}" for kind in ("javascript", "javascript, cut", "python", "python, cut", "shell")),
}
HTTP_MARKS = {
    *("refused", "watches"),  # tests/docs/test_http.py
    # tests/docs/test_doors.py
    "mcp file",
    *(f"door: {name}" for name in ("agui", "chat", "mcp", "python", "responses", "shell")),
}
OF_PAGE = {"docs/clients.md": CLIENT_MARKS, "docs/http.md": CLIENT_MARKS | HTTP_MARKS}


@pytest.mark.parametrize("name", PAGES)
def test_every_mark_is_known(name):
    """A slip in a comment would take a snippet out of the tests."""
    found = {block.mark for block in blocks(name)} - {""}
    assert found - MARKS - OF_PAGE.get(name, set()) == set()


# --- snippets ---------------------------------------------------------------------------------------------------------

SNIPPETS = [(name, block) for name in PAGES for block in blocks(name, language="python")]


@pytest.mark.parametrize(("name", "block"), SNIPPETS, ids=[f"{name}:{block.line}" for name, block in SNIPPETS])
def test_a_snippet_is_python(name, block):
    ast.parse(block.text)


RUNNABLE = [(name, block) for name, block in SNIPPETS if block.mark in ("run", "agent", "file: my_agent.py")]


@pytest.mark.parametrize(("name", "block"), RUNNABLE, ids=[f"{name}:{block.line}" for name, block in RUNNABLE])
def test_a_snippet_runs(name, block, tmp_path, monkeypatch):
    """It is run as it stands; tests in it are run, and an agent file in it can be served."""
    if "opentelemetry" in block.text:
        module("opentelemetry.sdk", extra="otel")
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "snippet"}
    exec(compile(block.text, f"{name}:{block.line}", "exec"), scope)
    for test in [value for key, value in scope.items() if key.startswith("test_")]:
        asyncio.run(test())
    if block.mark != "run":
        file = tmp_path / f"snippet_{block.line}.py"
        file.write_text(block.text, encoding="utf-8")
        assert isinstance(load_agent(str(file)), Agent)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_snippets_of_tests_pass(name, tmp_path):
    """All of a page in one run, beside the README's agent."""
    tests = blocks(name, mark="pytest")
    if not tests:
        return
    (file,) = blocks("README.md", mark="file: my_agent.py")
    (tmp_path / "my_agent.py").write_text(file.text, encoding="utf-8")
    for block in tests:
        (tmp_path / f"test_line_{block.line}.py").write_text(block.text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-o", "asyncio_mode=auto"]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stdout
    assert f"{len(tests)} passed" in result.stdout


def test_there_are_snippets_of_every_page_for_authors():
    assert {name for name, _ in RUNNABLE} >= {"README.md", "README.zh.md", "docs/agents.md"}


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A folder where the README's commands can be given: its agent file, the examples, the scripts, `manage.py`."""
    (file,) = blocks("README.md", mark="file: my_agent.py")
    (tmp_path / "my_agent.py").write_text(file.text, encoding="utf-8")
    (tmp_path / "other_agent.py").write_text(file.text.replace("hello-assistant", "other-assistant"), encoding="utf-8")
    for name in ("examples", "manage.py", "Makefile", "myagent_site", ".env.example"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "myagent-ws").symlink_to(ROOT / "scripts" / "myagent-ws")
    programs = tmp_path / "bin"
    programs.mkdir()
    # What the installed command does, see [project.scripts].
    command = programs / "myagent-ws"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m myagent.cli.main "$@"\n')
    command.chmod(0o755)
    return tmp_path


def shell_environment(folder, **extra):
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return environment(folder, PATH=path, **extra)


@pytest.fixture(scope="module")
def used_data(tmp_path_factory):
    """The data folder of a server that has served `my_agent.py`; commands make tokens and switch agents in it."""
    folder = tmp_path_factory.mktemp("used")
    (file,) = blocks("README.md", mark="file: my_agent.py")
    (folder / "my_agent.py").write_text(file.text, encoding="utf-8")
    with serving(folder, "my_agent.py", "--port", "0") as server:
        server.read_banner()
        server.interrupt()
    for name in ("robot", "alice", "ada"):  # those whom earlier commands of the pages have made
        run([sys.executable, str(ROOT / "manage.py"), "createtoken", name, "--create-user"], folder)
    return folder / "data"


def commands(name: str, mark: str) -> list[str]:
    return list(dict.fromkeys(line for block in blocks(name, mark=mark) for line in block.commands))


SERVED = [line for name in ("README.md", "docs/operations.md") for line in commands(name, "serve")]
GIVEN = [line for name in ("README.md", "docs/operations.md") for line in commands(name, "command")]


@pytest.mark.slow
@pytest.mark.parametrize("line", SERVED)
def test_a_command_that_serves(folder, line):
    """It starts, answers and stops; on a free port, which the page cannot know."""
    shell = f"exec {re.sub(r' --port [0-9]+', '', line)} --port 0"
    if match := re.match(r"((?:[A-Z_]+=\S+ )+)(.*)", line):
        shell = f"{match[1]}exec {re.sub(r' --port [0-9]+', '', match[2])} --port 0"
    with serving(folder, command=["sh", "-c", shell], PATH=shell_environment(folder)["PATH"]) as server:
        server.read_banner()
        assert server.get("/healthz")[0] == 200
        code, log = server.interrupt()
    assert code == 0
    assert "Traceback" not in log


@pytest.mark.slow
@pytest.mark.parametrize("line", GIVEN)
def test_a_command_that_ends(folder, used_data, line):
    environ = shell_environment(folder)
    shutil.copytree(used_data, environ["MYAGENT_DATA_DIR"])
    result = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    """A server of the README's agent, for what talks to it; the URL stands for the one on the pages."""
    folder = tmp_path_factory.mktemp("talking")
    (file,) = blocks("README.md", mark="file: my_agent.py")
    (folder / "my_agent.py").write_text(file.text, encoding="utf-8")
    with serving(folder, "my_agent.py", "--port", "0", "--llm", "demo") as server:
        server.read_banner()
        yield f"ws://localhost:{server.port}/"


TALKED = [line for name in PAGES for line in commands(name, "chat")]


@pytest.mark.slow
@pytest.mark.parametrize("line", list(dict.fromkeys(TALKED)))
def test_a_command_that_talks(folder, talking, line):
    """Without a terminal, so what would ask for a question finds one in the pipe."""
    line = line.replace(" ws://localhost:8080/", "").replace("myagent-ws chat", f"myagent-ws chat {talking}")
    result = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env=shell_environment(folder),
        input="Hello",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout or "--list" in line


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_first_agent_calls_its_tool_without_a_key(folder, name):
    """What the conversation of the page asks is something that the demo model understands."""
    (file,) = blocks(name, mark="file: my_agent.py")
    (folder / "my_agent.py").write_text(file.text, encoding="utf-8")
    (question,) = re.findall(r"^❯ (.+)$", page(name), re.MULTILINE)
    told = run([*COMMAND, "check", "my_agent.py", "--llm", "demo", "--ask", question], folder)
    (greeting,) = re.findall(r'output=f"(.+?\})', file.text)
    assert re.search(greeting.replace("{name}", "(Ada|小明)"), told.stdout), told.stdout


def test_the_commands_are_tried():
    spoken = " ".join(SERVED)
    for start in ("python -m myagent.cli.server", "./scripts/myagent-ws", "myagent-ws server", "manage.py runagent"):
        assert start in spoken
    assert any("createtoken" in line for line in GIVEN)


@pytest.mark.parametrize("name", PAGES)
def test_the_targets_of_make_exist(name):
    targets = set(re.findall(r"\bmake ([a-z-]+)\b", " ".join(block.text for block in blocks(name, language="bash"))))
    missing = [target for target in targets if f"\n{target}:" not in page("Makefile")]
    assert missing == []


def test_both_readmes_have_the_same_commands():
    def bare(name):
        """The blocks, without the page's language, and comments and quoted words, which are in it."""
        own = r"  +#.*|'[^']*'|(?<=^export MYAGENT_LANGUAGE=)\S+|(?<=^make run LANGUAGE=)\S+"
        lines = [[re.sub(own, "", line) for line in block.commands] for block in blocks(name, language="bash")]
        return lines, [(block.language, block.mark) for block in blocks(name)]

    assert bare("README.md") == bare("README.zh.md")


@pytest.mark.parametrize("message", ["❌ 在 my_agent.py 中未找到 'agent' 变量", "[Errno 98] Address already in use"])
def test_both_readmes_show_what_the_command_says(message):
    assert all(message in page(name) for name in ("README.md", "README.zh.md"))


@pytest.mark.parametrize(("name", "language"), [("README.md", "en"), ("README.zh.md", "zh-hans")])
def test_a_readme_shows_in_its_language_what_the_command_says(folder, name, language):
    shown = [block.text for block in blocks(name, language="") if block.text.startswith("❌")]
    (folder / "without_agent").mkdir()
    (folder / "without_agent" / "my_agent.py").write_text("x = 1\n")
    serve = [sys.executable, "-m", "myagent.cli.server", "my_agent.py"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = [
            run(serve, folder / "without_agent", MYAGENT_LANGUAGE=language).stderr,
            run([*serve, "--host", "127.0.0.1", "--port", port], folder, MYAGENT_LANGUAGE=language).stderr,
        ]
    assert len(shown) == len(told)
    for example, real in zip(shown, told, strict=True):
        assert example in re.sub(r"Errno \d+", "Errno 98", real).replace(port, "8080")


def test_loggers_are_documented_and_named_for_operators():
    named = {
        name
        for package in ("myagent", "agents", "sessions_app", "myagent_site")
        for path in (ROOT / package).rglob("*.py")
        for name in re.findall(r"getLogger\(([^)]*)\)", path.read_text(encoding="utf-8"))
    }
    table = page("docs/operations.md").partition("| logger |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`myagent\..*?) \|", table, re.MULTILINE)
    documented = set(re.findall(r"`(myagent\.\w+)`", "".join(rows)))
    ours = {name.strip('"') for name in named if name.startswith('"myagent')}
    assert ours == documented, ours ^ documented
    assert "__name__" not in named
