"""What the pages show beside snippets and single commands: scripts, settings, units, variables, events."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib

import psycopg
import pytest

from tests.agents.access.test_sso import RSA, pem
from tests.docs.test_docs import PAGES, TRANSLATED, folder, kind_of, page, section, shell_environment, used_data  # noqa: F401 - fixtures
from tests.myagent.cli.test_main import serving
from tests.support import forked
from tests.support.markdown import Block, blocks
from tests.support.model_replies import text
from tests.support.model_server import ModelServer
from tests.support.paths import ROOT
from tests.support.patience import WAIT_SECONDS
from tests.support.services import libpq, program

READMES = ("README.md", "README.zh.md")


def marked(mark: str) -> list[tuple[str, Block]]:
    return [(name, block) for name in PAGES for block in blocks(name, mark=mark)]


def at(found) -> list[str]:
    return [f"{name}:{block.line}" for name, block in found]


# --- nothing is left out ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_every_block_of_code_is_run_or_read(name):
    """Without a mark are drawings, output, and the events in the READMEs, all of which are read below."""
    unmarked = [block for block in blocks(name) if not block.mark and block.language]
    assert [f"line {block.line}: {block.language}" for block in unmarked if block.language != "json"] == []
    assert name in READMES or not unmarked


# --- scripts ----------------------------------------------------------------------------------------------------------


SCRIPTS = marked("script")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "block"), SCRIPTS, ids=at(SCRIPTS))
def test_a_script(folder, used_data, name, block):  # noqa: F811
    """It does what it is there for beside a server's data, with a model that answers."""
    with ModelServer() as model:
        model.default = lambda body: text("The answer of a model.")
        environ = shell_environment(folder, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="sk-test-of-nobody")
        (folder / ".myagent").symlink_to(used_data)
        if block.text.startswith("sqlite3 "):
            program("sqlite3")
        result = subprocess.run(
            ["sh", "-e"],
            input=block.text,
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (result.returncode, result.stderr) == (0, "")
    if "arun" in block.text:
        assert result.stdout == "The answer of a model.\n"
    else:
        assert (folder / "backup.sqlite3").stat().st_size > 0


MOVES = marked("move")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "block"), MOVES, ids=at(MOVES))
def test_a_move_to_postgresql(folder, used_data, postgres_url, name, block):  # noqa: F811
    shutil.copytree(used_data, folder / ".myagent")
    script = block.text.replace("postgres://user:password@db.example:5432/myagent", postgres_url)
    environ = shell_environment(folder, MYAGENT_DATA_DIR=str(folder / ".myagent"))
    command = ["sh", "-ec", script]
    result = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Copied and checked" in result.stdout


SHARED = marked("shared database")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "block"), SHARED, ids=at(SHARED))
@pytest.mark.database
def test_a_server_on_shared_services(folder, postgres_url, redis_url, name, block):  # noqa: F811
    """The database is another one, and what is set or installed once for all is set or installed already."""
    places = {
        "postgres://user:password@db.example:5432/myagent": postgres_url,
        "redis://redis.example:6379/0": redis_url,
    }
    script = block.text
    for example, real in places.items():
        script = script.replace(example, real)
    lines = [line for line in script.splitlines() if not line.startswith("pip ")]
    assert lines[-1].startswith("python manage.py runagent ")
    command = ["sh", "-ec", "\n".join([*lines[:-1], f"exec {lines[-1]} --port 0"])]
    with serving(folder, command=command, **shell_environment(folder)) as server:
        server.read_banner()
        assert server.get("/healthz")[0] == 200
        assert server.interrupt()[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "block"), marked("sql"), ids=at(marked("sql")))
@pytest.mark.database
def test_what_an_owner_of_the_database_may_do(postgres_url, name, block):
    with psycopg.connect(libpq(postgres_url), autocommit=True) as connection:
        for statement in filter(str.strip, block.text.split(";")):
            connection.execute(statement)
        (index,) = re.findall(r"CREATE INDEX (?:CONCURRENTLY )?(\w+)", block.text)
        assert connection.execute("SELECT 1 FROM pg_indexes WHERE indexname = %s", [index]).fetchone()


UNITS = marked("unit")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "block"), UNITS, ids=at(UNITS))
def test_a_unit_starts_the_server(folder, name, block):  # noqa: F811
    (line,) = re.findall(r"^ExecStart=\S+/(python .+)$", block.text, re.MULTILINE)
    command = ["sh", "-c", f"exec {re.sub(r' --port [0-9]+', ' --port 0', line)}"]
    with serving(folder, command=command, PATH=shell_environment(folder)["PATH"]) as server:
        server.read_banner()
        assert server.interrupt()[0] == 0


SETTINGS = marked("settings")


@pytest.mark.parametrize(("name", "block"), SETTINGS, ids=at(SETTINGS))
def test_settings_of_ones_own(folder, name, block):  # noqa: F811
    key = folder / "key.pem"
    key.write_text(pem(RSA), encoding="ascii")
    own = re.sub(r'Path\("/[^"]+\.pem"\)', f'Path("{key}")', block.text)
    (folder / "own_settings.py").write_text(own, encoding="utf-8")
    environ = shell_environment(folder, DJANGO_SETTINGS_MODULE="own_settings")
    environ["PYTHONPATH"] = os.pathsep.join([str(folder), environ["PYTHONPATH"]])
    command = [sys.executable, "manage.py", "check", "--fail-level", "ERROR"]
    result = forked.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr


# --- variables, packages, targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_every_variable_that_is_set_is_one(name):
    known = set(re.findall(r"^\| `([A-Z_]+)`", section("docs/operations.md", "Configuration"), re.MULTILINE))
    scripts = "\n".join(block.text for block in blocks(name) if block.language in ("bash", "ini"))
    named = set(re.findall(r"(?:^export |^Environment=)([A-Z_]+)=", scripts, re.MULTILINE))
    assert {variable for variable in named if not variable.startswith(("OTEL_", "DJANGO_"))} <= known


@pytest.mark.parametrize("name", PAGES)
def test_everything_that_is_installed_is_there(name):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for line in [line for block in blocks(name, language="bash") for line in block.commands if "pip install" in line]:
        for extra in re.findall(r"\[([\w,]+)\]", line):
            assert set(extra.split(",")) <= extras.keys(), line
        for file in re.findall(r"-r (\S+)", line):
            assert (ROOT / file).is_file(), line


@pytest.mark.slow
@pytest.mark.parametrize("name", READMES)
def test_the_first_step_leads_to_where_the_other_commands_work(tmp_path, name):
    """From an empty folder, in the language of the page; without the network, so nothing is installed."""
    (block,) = blocks(name, mark="install")
    lines = [line.replace("<URL>", str(ROOT)) for line in block.text.splitlines()]
    assert lines.pop().startswith("pip install ")
    facts = 'command -v pip; echo "$MYAGENT_LANGUAGE"; ls'
    script = "\n".join([*lines, facts])
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MYAGENT_")}
    result = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=True
    )
    pip, language, *files = result.stdout.splitlines()
    assert pip == str(tmp_path / "myagent" / ".venv" / "bin" / "pip")
    assert language == ("zh-hans" if name == "README.zh.md" else "en")
    assert {"requirements-ws.txt", "scripts", "manage.py", "examples"} <= set(files)


def test_make_run_serves_the_weather_assistant():
    """What the target would do, without making an environment first; also where the tests themselves run in `make`."""
    outer = {"OPENAI_API_KEY", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
    made = subprocess.run(
        [program("make"), "--dry-run", "--always-make", "run", "VENV=/env", "PORT=9000"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key not in outer},
        capture_output=True,
        text=True,
        check=True,
    )
    last = made.stdout.splitlines()[-1].split()
    assert last[:6] == [
        "/env/bin/python",
        "manage.py",
        "runagent",
        "examples/ws_weather_agent.py",
        "--host",
        "localhost",
    ]
    assert last[6:] == ["--port", "9000", "--llm", "demo"]


# --- clients in the READMEs -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hello")  # noqa: F811
    (file,) = blocks("README.md", mark="file: my_agent.py")
    (folder / "my_agent.py").write_text(file.text, encoding="utf-8")
    with serving(folder, "my_agent.py", "--port", "0", "--llm", "demo") as started:
        started.read_banner()
        yield started


@pytest.mark.slow
@pytest.mark.parametrize("name", READMES)
def test_the_javascript_of_a_readme_gets_an_answer(server, tmp_path, name):
    (block,) = blocks(name, language="javascript")
    client = tmp_path / "client.js"
    client.write_text(block.text.replace("8080", str(server.port)), encoding="utf-8")
    node = [program("node"), "--experimental-websocket", "--no-warnings", str(client)]
    printed = until(node, "agent.final_answer")
    assert "agent.session_created" in printed and "agent.thinking" in printed


def test_frames_typed_by_hand(server):
    """With the client of the package websockets, as docs/clients.md says."""
    (block,) = blocks("docs/clients.md", mark="by hand")
    (line,) = block.commands
    command = [
        "sh",
        "-c",
        line.replace("websockets ", f"{sys.executable} -m websockets ").replace("8080", str(server.port)),
    ]
    (typed,) = [item for item in re.findall(r"`(\{.+?\})`", page("docs/clients.md")) if "create_session" in item]
    assert json.loads(typed)["event"] == "user.create_session"
    printed = until(command, "agent.session_created", typed=f"{typed}\n")
    assert "system.connected" in printed


@pytest.mark.parametrize(("name", "block"), marked("http"), ids=at(marked("http")))
def test_a_request_over_http(server, name, block):
    token = re.search(r"token=(mya_\S+)", server.banner)[1]
    (line,) = block.commands
    command = [
        "sh",
        "-c",
        line.replace("curl ", f"{program('curl')} --silent --fail ").replace("8080", str(server.port)),
    ]
    result = subprocess.run(command, env={**os.environ, "TOKEN": token}, capture_output=True, text=True, check=True)
    assert [agent["name"] for agent in json.loads(result.stdout)["agents"]] == ["hello-assistant"]


def until(command: list[str], words: str, *, typed: str = "") -> str:
    """What a program prints up to `words`; it is ended then."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    watchdog = threading.Timer(WAIT_SECONDS, process.kill)
    watchdog.start()
    printed = ""
    try:
        process.stdin.write(typed)
        process.stdin.flush()
        for line in process.stdout:
            printed += line
            if words in line:
                return printed
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()
    raise AssertionError(f"never said {words!r}: {printed}")


# --- events in the READMEs --------------------------------------------------------------------------------------------

EVENTS = [(name, block) for name in READMES for block in blocks(name, language="json")]


@pytest.mark.parametrize(("name", "block"), EVENTS, ids=at(EVENTS))
def test_an_event_of_a_readme_is_one(name, block):
    from myagent.protocol.codec import parse_frame

    frame = json.loads(block.text)
    if frame["event"].startswith("user."):
        assert parse_frame(block.text).event == frame["event"]
    else:
        kind_of({**frame, "seq": 1})


# --- two languages ----------------------------------------------------------------------------------------------------


def outline(name: str) -> list[str]:
    """What two pages of the same content have in common: levels of headings, blocks, rows of tables, items, links."""
    found = []
    for line in re.sub(r"^```\w*\n.*?^```$", "```", page(name), flags=re.MULTILINE | re.DOTALL).splitlines():
        if match := re.match(r"#+ |```|\| (`--[\w-]+)?|- |!\[|<!-- .+|\d\. ", line):
            found.append(match[0])
    return found


PAIRS = [("README.md", "README.zh.md"), *TRANSLATED.items()]


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_both_languages_have_one_outline(english, chinese):
    assert outline(english) == outline(chinese)


@pytest.mark.parametrize(("english", "chinese"), TRANSLATED.items())
def test_both_languages_have_the_same_code(english, chinese):
    """The English page's is run, so the Chinese page's is right as well."""
    shown = [[(block.mark, block.language, block.text) for block in blocks(name)] for name in (english, chinese)]
    assert shown[0] == shown[1]


@pytest.mark.parametrize(("english", "chinese"), TRANSLATED.items())
def test_both_languages_name_the_same_tests(english, chinese):
    named = [re.findall(r"`((?:tests|bench)/[\w/*]+\.py)`", page(name)) for name in (english, chinese)]
    assert named[0] == named[1]


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_both_languages_link_to_the_same(english, chinese):
    def targets(name: str) -> list[str]:
        found = re.findall(r"\]\(([^)#]+)", page(name))
        return [re.sub(r"\.(en|zh)\.", ".", target) for target in found if not target.startswith("README")]

    assert targets(english) == targets(chinese)
