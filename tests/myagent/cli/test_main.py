"""The commands, as a person types them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

from tests.support import forked
from tests.support.paths import ROOT
from tests.support.patience import WAIT_SECONDS
from tests.support.services import give_sqlite_tables

MODULE = [sys.executable, "-m", "myagent.cli.server"]
COMMAND = [sys.executable, "-m", "myagent.cli.main"]
SCRIPT = [str(ROOT / "scripts" / "myagent-ws")]
MANAGE = [sys.executable, str(ROOT / "manage.py")]
OPTIONS = ["--host", "--port", "--debug", "--llm", "--language", "--reload", "--require-auth", "--allow-anonymous"]
OPTIONS += ["--allow-origin", "--root-path", "--drain-seconds"]

AGENT = """
from myagent import create_react_agent
from myagent.tool.base_tool import BaseTool, ToolResult

class Hello(BaseTool):
    name = "say_hello"
    description = "Greets"
    async def execute(self, name: str) -> ToolResult:
        return ToolResult(output=f"Hello, {name}")

agent = create_react_agent(name="NAME", tools=[Hello()])
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_agent.py").write_text(AGENT.replace("NAME", "hello-assistant"))
    return tmp_path


def environment(folder, **extra):
    """The environment of a stranger: nothing of MyAgent is set but the place of the data and the language."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MYAGENT_", "OPENAI_", "LLM_"))}
    for name in ("DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS"):
        kept.pop(name, None)
    own = {"MYAGENT_DATA_DIR": str(folder / "data"), "MYAGENT_LANGUAGE": "en", "PYTHONPATH": python_path()}
    return {**kept, **own, "PYTHONUNBUFFERED": "1", **extra}


def python_path():
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def run(command, folder, *, stdin="", **extra):
    return forked.run(
        command,
        cwd=folder,
        env=environment(folder, **extra),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Server:
    """A server process whose banner is read line by line."""

    def __init__(self, process):
        self.process = process
        self.banner = ""
        self.port = 0

    def read_banner(self):
        """Wait for the next banner and return it; fails when the process ends without one."""
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                self.banner = "".join(lines)
                self.port = int(re.search(r"http://\S+?:(\d+)/", self.banner)[1])
                return self.banner
        raise AssertionError(f"no banner: {''.join(lines)} {self.process.stderr.read()}")

    def read_error(self, words):
        """Wait for a line of the log that holds `words`."""
        for line in self.process.stderr:
            if words in line:
                return line
        raise AssertionError(f"never said {words!r}")

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=WAIT_SECONDS) as answer:
            return answer.status, answer.read().decode()

    def interrupt(self):
        """Press Ctrl-C; returns the exit code and the rest of what was said."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


@contextmanager
def serving(folder, *arguments, command=MODULE, exec=False, **extra):
    """A server whose database has tables already; `exec` starts it as a person does, and not as `forked` can."""
    if "DATABASE_URL" not in extra:
        give_sqlite_tables(folder / "data")
    process = (subprocess.Popen if exec else forked.Popen)(
        [*command, *arguments],
        cwd=folder,
        env=environment(folder, **extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Server(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


# --- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [SCRIPT, COMMAND])
def test_help_of_the_command(folder, command):
    result = run([*command, "--help"], folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert "usage: myagent-ws COMMAND" in result.stdout
    assert "server FILE" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["new", "a.py"], pytest.param(["check", "my_agent.py"], marks=pytest.mark.slow), ["nothing"]],
)
def test_closed_streams(folder, arguments):
    command = [*COMMAND, *arguments]
    expected = run(command, folder)
    (folder / "a.py").unlink(missing_ok=True)
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        result = run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], folder)
        (folder / "a.py").unlink(missing_ok=True)
        assert result.returncode == expected.returncode
        if ">" not in closed:
            assert (result.stdout, result.stderr) == (expected.stdout, expected.stderr)
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("command", "prog"),
    [
        ([*COMMAND, "server"], "myagent-ws server"),
        (MODULE, "python -m myagent.cli.server"),
        ([*MANAGE, "runagent"], "manage.py runagent"),
    ],
)
def test_help_of_the_server_names_every_option(folder, command, prog):
    result = run([*command, "--help"], folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"usage: {prog} " in result.stdout
    for option in OPTIONS:
        assert option in result.stdout
    for default in ("localhost", "8080"):
        assert f"(default: {default})" in result.stdout
    assert "--pythonpath" not in result.stdout


def test_unknown_commands_are_told_the_known_ones(folder):
    result = run([*COMMAND, "serve"], folder)
    assert result.returncode == 2
    assert "❌ Unknown command 'serve'. Known commands: new, check" in result.stderr


def test_a_file_for_a_command_is_told_what_was_meant(folder):
    result = run([*COMMAND, "my_agent.py"], folder)
    assert result.returncode == 2
    assert "   Did you mean: myagent-ws server my_agent.py\n" in result.stderr


def test_no_command_shows_the_usage(folder):
    result = run(COMMAND, folder)
    assert result.returncode == 2
    assert "usage: myagent-ws" in result.stderr


def test_version(folder):
    import myagent

    assert run([*SCRIPT, "--version"], folder).stdout == f"myagent-ws {myagent.__version__}\n"


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "called"),
    [
        ([*COMMAND, "server"], "myagent-ws server"),
        (MODULE, "python -m myagent.cli.server"),
        ([*MANAGE, "runagent"], "manage.py runagent"),
    ],
)
def test_no_file(folder, command, called):
    result = run(command, folder)
    assert result.returncode == 1
    words = f"❌ Name at least one agent file, for example: {called} my_agent.py"
    assert result.stderr.splitlines()[0] == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "❌ No 'agent' variable was found in bad.py"),
        ("def f(:", "❌ Syntax error in bad.py, line 1"),
        ("\nraise OSError('broken')", "❌ bad.py, line 2: OSError: broken"),
        ("agent = 5", "❌ 'agent' in bad.py is int (5), not an agent"),
        (None, "❌ Agent file not found: bad.py"),
    ],
)
def test_a_bad_agent_file(folder, text, words):
    if text is not None:
        (folder / "bad.py").write_text(text)
    result = run([*MODULE, "bad.py"], folder)
    assert result.returncode == 1
    assert result.stderr.startswith(words)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_debug_shows_the_traceback_too(folder):
    (folder / "bad.py").write_text("raise OSError('broken')")
    result = run([*MODULE, "bad.py", "--debug"], folder)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "❌ bad.py, line 1: OSError: broken" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 1, "❌ Name at least one agent file"),
        (["nowhere.py", "empty"], 1, "❌ Agent file not found: nowhere.py"),
        (["nowhere.py", "empty"], 1, "No agent file was found in the folder empty"),
        (["my_agent.py", "--port", "70000"], 2, "'70000' is not a port"),
        (["my_agent.py", "--llm", "other"], 2, "--llm"),
        (["my_agent.py", "--drain-seconds", "-1"], 2, "'-1' is not a number of seconds"),
        (["my_agent.py", "--bogus"], 2, "unrecognized arguments: --bogus"),
        (
            ["my_agent.py", "--allow-origin", "app.example"],
            1,
            "❌ MYAGENT['ALLOW_ORIGINS'] (--allow-origin) holds 'app.example'",
        ),
    ],
)
def test_bad_arguments(folder, arguments, code, words):
    (folder / "empty").mkdir()
    result = run([*MODULE, *arguments], folder)
    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_taken_port(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = ["my_agent.py", "--host", "127.0.0.1", "--port", str(taken.getsockname()[1])]
        result = run([*MODULE, *arguments], folder)
    assert result.returncode == 1
    told = r"^❌ Server error: \[Errno \d+\] Address already in use\n   Choose another port with --port"
    assert re.search(told, result.stderr, re.MULTILINE)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_data_folder_that_cannot_be_made(folder):
    (folder / "file").write_text("")
    result = run([*MODULE, "my_agent.py"], folder, MYAGENT_DATA_DIR=str(folder / "file"))
    assert result.returncode == 1
    assert result.stderr.startswith("❌ ")
    assert "Traceback" not in result.stderr


def test_settings_that_cannot_be_used(folder):
    result = run([*MODULE, "my_agent.py", "--language", "en"], folder, MYAGENT_LANGUAGE="fr")
    assert result.returncode == 1
    assert result.stderr.splitlines()[0].startswith("❌ MYAGENT_LANGUAGE ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("command", "variables", "words"),
    [
        ([*MANAGE, "agents", "list"], {"DATABASE_URL": "nonsense"}, ["❌ DATABASE_URL is no address", "postgres://"]),
        ([*MODULE, "my_agent.py"], {"DJANGO_SETTINGS_MODULE": "nosuch.x"}, ["❌ There is no module nosuch.x", "unset"]),
        ([*MANAGE, "agents", "list"], {"DJANGO_SETTINGS_MODULE": "nosuch.x"}, ["❌ There is no module nosuch.x"]),
        (
            [*MODULE, "my_agent.py"],
            {"DATABASE_URL": "postgres://ann:secret@127.0.0.1:1/team"},
            ["❌ The database cannot be used: ", "refused", "\n   Check that PostgreSQL runs"],
        ),
    ],
)
def test_a_wrong_environment_is_told_with_its_cure(folder, command, variables, words):
    result = run(command, folder, **variables)
    assert result.returncode == 1
    assert all(word in result.stderr for word in words), result.stderr
    for unwanted in ("Traceback", "WARNING", "secret"):
        assert unwanted not in result.stderr


def test_a_settings_module_that_lacks_a_package_shows_where(folder):
    (folder / "own_settings.py").write_text("import nosuchpackage\n")
    result = run([*MODULE, "my_agent.py"], folder, DJANGO_SETTINGS_MODULE="own_settings")
    assert "No module named 'nosuchpackage'" in result.stderr
    assert "own_settings.py" in result.stderr


def test_a_folder_that_is_no_database(folder):
    (folder / "data").mkdir()
    (folder / "data" / "myagent.sqlite3").write_text("no database, and long enough to be taken for one" * 10)
    result = run([*MODULE, "my_agent.py"], folder)
    assert result.returncode == 1
    assert re.match(r"❌ The database cannot be used: .+\n   \S+myagent.sqlite3 is damaged", result.stderr)


def test_the_help_speaks_the_language_asked_for(folder):
    assert (
        "port to listen on" in run([*MODULE, "--help", "--language", "en"], folder, MYAGENT_LANGUAGE="zh-hans").stdout
    )


@pytest.mark.parametrize(
    "command", [["server", "--help"], ["check", "my_agent.py"], ["new", "a.py"], ["chat", "--help"]]
)
def test_languages_as_systems_name_them(folder, command):
    for in_english, variable in ([], "en_US.UTF-8"), (["--language", "en-US"], "zh_CN.UTF-8"):
        line = [*COMMAND, *command, *in_english]
        result = run(line, folder, MYAGENT_LANGUAGE=variable)
        (folder / "a.py").unlink(missing_ok=True)
        assert (result.returncode, result.stderr, re.findall("[\u4e00-\u9fff]", result.stdout)) == (0, "", [])


def test_a_language_that_there_is_not(folder):
    for command in ["server", "my_agent.py"], ["new", "a.py"], ["chat"]:
        result = run([*COMMAND, *command, "--language", "fr"], folder)
        assert result.returncode == 2
        assert "argument --language: invalid choice: 'fr' (choose from " in result.stderr


def test_a_shared_database_is_not_migrated_by_itself(folder):
    url = f"sqlite:///{folder / 'team.sqlite3'}"
    result = run([*MODULE, "my_agent.py"], folder, DATABASE_URL=url)
    assert result.returncode == 1
    assert "❌ The database lacks" in result.stderr
    assert "python manage.py migrate" in result.stderr
    assert run([*MANAGE, "migrate"], folder, DATABASE_URL=url).returncode == 0
    with serving(folder, "my_agent.py", "--port", "0", DATABASE_URL=url) as server:
        assert "password" not in server.read_banner()


# --- serving ----------------------------------------------------------------------------------------------------------


def test_serving_from_the_first_start_to_ctrl_c(folder):
    with serving(folder, "my_agent.py", "--port", "0", exec=True) as server:
        banner = server.read_banner()
        for words in ("hello-assistant", "say_hello", "my_agent.py", "?token=mya_", "/admin/", str(folder / "data")):
            assert words in banner
        assert f"ws://localhost:{server.port}/ws/hello-assistant/" in banner
        assert password_in(banner)
        assert "OPENAI_API_KEY" in banner
        status, body = server.get("/healthz")
        assert (status, json.loads(body)) == (200, {"status": "ok"})
        assert "<title>MyAgent</title>" in server.get("/")[1]
        assert server.get("/static/admin/css/base.css")[0] == 200
        code, errors = server.interrupt()
        assert code == 0
        assert "Traceback" not in errors
        assert "mya_" not in errors
    with sqlite3.connect(folder / "data" / "myagent.sqlite3") as database:
        assert database.execute("SELECT name, source FROM agents_hostedagent").fetchall() == [
            ("hello-assistant", "my_agent.py")
        ]
        (stored,) = database.execute("SELECT token_hash FROM agents_accesstoken").fetchone()
    database.close()
    assert stored not in banner
    with serving(folder, "my_agent.py", "--port", "0", "--llm", "demo") as server:
        banner = server.read_banner()
        assert "password" not in banner
        assert "OPENAI_API_KEY" not in banner
        assert "model: demo" in banner


def password_in(banner):
    """The password that a banner shows, or None."""
    found = re.search(r"user local, password (\S{12,})", banner)
    return found and found[1]


def test_the_password_is_shown_by_the_first_start_that_comes_to_listen(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run([*MODULE, "my_agent.py", "--port", str(taken.getsockname()[1])], folder)
        assert (result.returncode, result.stdout) == (1, "")
    with serving(folder, "my_agent.py", "--port", "0") as server:
        password = password_in(server.read_banner())
        server.interrupt()
    check = "from django.contrib.auth import authenticate; print(authenticate(username='local', password=input()))"
    assert run([*MANAGE, "shell", "-v", "0", "-c", check], folder, stdin=f"{password}\n").stdout == "local\n"
    with serving(folder, "my_agent.py", "--port", "0") as server:
        assert password_in(server.read_banner()) is None


def test_a_password_that_could_not_be_shown_is_not_kept(folder):
    with open("/dev/full", "w") as full:
        refused = forked.run(
            [*MODULE, "my_agent.py", "--port", "0"], cwd=folder, env=environment(folder), stdout=full, timeout=60
        )
    assert refused.returncode == 1
    with serving(folder, "my_agent.py", "--port", "0") as server:
        assert password_in(server.read_banner())


def test_a_password_that_was_set_before_the_server_listened_stays(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run([*MODULE, "my_agent.py", "--port", str(taken.getsockname()[1])], folder)
    own = "from django.contrib.auth.models import User; u = User.objects.get(); u.set_password('mine'); u.save()"
    assert run([*MANAGE, "shell", "-v", "0", "-c", own], folder).returncode == 0
    with serving(folder, "my_agent.py", "--port", "0") as server:
        assert password_in(server.read_banner()) is None


def test_of_two_servers_that_start_at_once_one_shows_the_password(folder):
    with (
        serving(folder, "my_agent.py", "--port", "0") as one,
        serving(folder, "my_agent.py", "--port", "0") as other,
    ):
        assert sorted(map(bool, map(password_in, (one.read_banner(), other.read_banner())))) == [False, True]


def test_several_files(folder):
    (folder / "second.py").write_text(AGENT.replace("NAME", "天气助手"))
    with serving(folder, "my_agent.py", "second.py", "--port", "0") as server:
        banner = server.read_banner()
    assert "/ws/hello-assistant/" in banner
    assert "/ws/%E5%A4%A9%E6%B0%94%E5%8A%A9%E6%89%8B/" in banner


def test_files_folders_and_modules_together_and_what_is_broken_stops_nothing(folder):
    (folder / "team" / "bots").mkdir(parents=True)
    (folder / "team" / "bots" / "shared.py").write_text("NAME = 'helped'")
    (folder / "team" / "bots" / "__init__.py").write_text("raise SystemExit('not for the command')")
    (folder / "team" / "bots" / "b.py").write_text("import shared\n" + AGENT.replace('"NAME"', "shared.NAME"))
    (folder / "team" / "bots" / "a.py").write_text("x = = 1\n")
    (folder / "team" / "bots" / "c.py").write_text(AGENT.replace("NAME", "hello-assistant"))
    (folder / "package").mkdir()
    (folder / "package" / "module.py").write_text(AGENT.replace("NAME", "dotted"))
    command = ["sh", "-c", f'exec {SCRIPT[0]} server "$@"', "sh"]  # whose own folder is not the current one
    with serving(folder, "my_agent.py", "team/bots/", "package.module", "--port", "0", command=command) as server:
        banner = server.read_banner()
        served = re.findall(r"Agent +(\S+)  \((\S+)\)", banner)
        assert served == [
            ("hello-assistant", "my_agent.py"),
            ("helped", "team/bots/b.py"),
            ("dotted", "package.module"),
        ]
        assert "⚠️  Not served: Syntax error in team/bots/a.py, line 1" in banner
        assert "⚠️  Not served: Two agents are named 'hello-assistant': my_agent.py and team/bots/c.py" in banner
        assert server.interrupt()[0] == 0
    listed = run([*MANAGE, "agents", "list"], folder, COLUMNS="300").stdout
    assert re.search(r"a\.py\W+failed\W.*team/bots/a\.py", listed)
    assert "❌ a.py: Syntax error in team/bots/a.py" in listed
    checked = run([*MANAGE, "agents", "check", "my_agent.py", "team/bots", "nowhere.py"], folder)
    assert checked.returncode == 1
    assert re.findall(r"^(\S+)  \(", checked.stdout, re.MULTILINE) == ["hello-assistant", "helped"]
    assert "❌ Agent file not found: nowhere.py" in checked.stdout
    # Mended and served under its own name, the row keeps what was decided about it.
    run([*MANAGE, "agents", "disable", "a.py"], folder)
    (folder / "team" / "bots" / "a.py").write_text(AGENT.replace("NAME", "mended"))
    with serving(folder, "team/bots", "--port", "0") as server:
        assert "The agent mended is switched off." in server.read_banner()


def test_agents_from_the_environment(folder):
    with serving(folder, "--port", "0", MYAGENT_AGENTS="my_agent.py") as server:
        assert "hello-assistant" in server.read_banner()


@pytest.mark.parametrize(
    ("option", "words"),
    [("--require-auth", "users with a token or a login"), ("--allow-anonymous", "everybody who can reach the server")],
)
def test_the_banner_tells_who_gets_in(folder, option, words):
    with serving(folder, "my_agent.py", "--port", "0", option) as server:
        assert words in server.read_banner()


def test_an_address_given_as_host_is_answered(folder):
    with serving(folder, "my_agent.py", "--host", "127.0.0.2", "--port", "0") as server:
        server.read_banner()
        with urllib.request.urlopen(f"http://127.0.0.2:{server.port}/", timeout=WAIT_SECONDS) as answer:
            assert answer.status == 200


# --- reload -----------------------------------------------------------------------------------------------------------


def test_a_changed_file_is_served_anew_on_the_same_port(folder):
    file = folder / "my_agent.py"
    with serving(folder, "my_agent.py", "--port", "0", "--reload", "--drain-seconds", "1") as server:
        server.read_banner()
        before = server.port
        file.write_text("def broken(:\n")
        server.read_error("the old version stays in use")
        assert server.get("/healthz")[0] == 200
        file.write_text(AGENT.replace("NAME", "renamed-assistant"))
        assert "renamed-assistant" in server.read_banner()
        assert server.port == before
        assert server.interrupt()[0] == 0


def test_a_file_that_cannot_be_loaded_is_waited_for(folder):
    file = folder / "my_agent.py"
    file.write_text("x = 1\n")
    with serving(folder, "my_agent.py", "--port", "0", "--reload") as server:
        server.read_error("No 'agent' variable")
        server.read_error("Waiting for a change")
        file.write_text(AGENT.replace("NAME", "mended"))
        assert "mended" in server.read_banner()


# --- the other commands -----------------------------------------------------------------------------------------------


def test_agents_are_checked_listed_and_switched(folder):
    checked = run([*MANAGE, "agents", "check", "my_agent.py"], folder)
    assert checked.stdout.startswith("hello-assistant  (my_agent.py)\n")
    missing = run([*MANAGE, "agents", "check", "nowhere.py"], folder)
    assert missing.returncode == 1
    assert missing.stdout.startswith("❌ Agent file not found: nowhere.py")
    with serving(folder, "my_agent.py", "--port", "0") as server:
        server.read_banner()
    assert "is switched off" in run([*MANAGE, "agents", "disable", "hello-assistant"], folder).stdout
    listed = run([*MANAGE, "agents", "list"], folder, COLUMNS="200").stdout
    assert re.search(r"hello-assistant\W+off\W+say_hello", listed)
    with serving(folder, "my_agent.py", "--port", "0") as server:
        assert "The agent hello-assistant is switched off." in server.read_banner()
    assert "is switched on" in run([*MANAGE, "agents", "enable", "hello-assistant"], folder).stdout
    unknown = run([*MANAGE, "agents", "reload", "hello-assistant", "x' OR name <> '"], folder)
    assert unknown.returncode == 1
    assert unknown.stderr == "❌ There is no agent \"x' OR name <> '\". Known agents: hello-assistant\n"
    assert "within seconds" in run([*MANAGE, "agents", "reload", "hello-assistant"], folder).stdout


@pytest.mark.parametrize(
    ("words", "code"), [(["agents", "list"], 0), (["createtoken", "nobody"], 1), (["agents", "enable", "x"], 1)]
)
def test_commands_make_the_tables_that_they_need(folder, words, code):
    """A person may ask before the server was started for the first time."""
    result = run([*MANAGE, *words], folder)
    assert result.returncode == code
    assert "Traceback" not in result.stderr and "no such table" not in result.stderr
