"""Processes that are forked instead of started: nobody must be able to tell, but by the time."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys

import pytest

from tests.support import forked
from tests.support.zygote import ROOT

HOWS = {"exec": subprocess.Popen, "fork": forked.Popen}
SHOW = """
import atexit, json, os, signal, sys, tempfile
print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "folder": os.getcwd(), "environment": dict(os.environ),
    "path": sys.path, "name": __name__, "file": __file__, "group": os.getpgrp() == os.getpgid(os.getppid()),
    "streams": [[s.name, s.mode, s.encoding, s.errors, s.line_buffering, s.write_through, s.isatty()]
                for s in (sys.stdin, sys.stdout, sys.stderr)],
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:3], "temporary": tempfile.gettempdir(),
    "signals": [str(signal.getsignal(number)) for number in (2, 13, 15)], "main": sys.modules["__main__"].__name__,
}))
atexit.register(print, "the end")
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "show.py").write_text(SHOW)
    return tmp_path


@pytest.fixture(params=HOWS)
def popen(request):
    return HOWS[request.param]


def script(folder, code):
    file = folder / "script.py"
    file.write_text(code)
    return [sys.executable, str(file)]


def outcome(popen, command, *, input=None, **options):
    """What is seen of a process: its exit code and its streams."""
    pipe = subprocess.PIPE
    with popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **options) as process:
        said = process.communicate(input, timeout=60)
    return process.returncode, *said


def assert_same(command, **options):
    """What SHOW shows is the same for an exec and a fork."""
    seen = []
    for popen in HOWS.values():
        code, output, errors = outcome(popen, command, **options)
        shown, _, rest = output.partition("\n")
        assert (code, rest, errors) == (0, "the end\n", "")
        seen.append(json.loads(shown))
    for name, value in seen[0].items():
        assert seen[1][name] == value, name


@pytest.mark.parametrize("extra", [{}, {"PYTHONUNBUFFERED": "1"}, {"TMPDIR": "/var/tmp", "PYTHONPATH": "/usr:/opt"}])
def test_a_program_finds_what_it_would_find_otherwise(folder, extra):
    environment = {**os.environ, "ODD": "a b\n", **extra}
    assert_same([sys.executable, "show.py", "x", "--y"], cwd=folder, env=environment)


def test_a_module_finds_what_it_would_find_otherwise(folder):
    (folder / "tests").mkdir()
    (folder / "tests" / "__init__.py").touch()
    (folder / "show.py").rename(folder / "tests" / "show.py")
    command = [sys.executable, "-m", "tests.show", "x"]
    assert_same(command, cwd=folder, env=dict(os.environ))


@pytest.mark.parametrize(
    "code",
    [
        "",
        "import sys; sys.exit(3)",
        "import sys; sys.exit()",
        "import sys; sys.exit(True)",
        "import sys; sys.exit('so it is')",
        "raise SystemExit(-1)",
        "import os; os._exit(7)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.05), print('late'))).start()",
        "import os; print('unread'); os.close(1)",
        "print(input())",
    ],
)
def test_it_ends_as_it_would_otherwise(folder, code):
    seen = [outcome(popen, script(folder, code), input="typed\n") for popen in HOWS.values()]
    assert seen[1] == seen[0]


def test_an_exception_is_told(popen, folder):
    code, output, errors = outcome(popen, script(folder, "print('before')\nraise ValueError('no')"))
    assert (code, output) == (1, "before\n")
    assert errors.startswith("Traceback (most recent call last)")
    assert errors.endswith("ValueError: no\n")
    assert 'script.py", line 2, in <module>' in errors


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["obeyed", "ignored"])
def interrupt(request):
    """What this process does on Ctrl-C; tests in the background of a shell ignore it."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_is_ignored_where_it_is_ignored_here(popen, folder, interrupt):
    command = script(folder, "import time; print('ready', flush=True); time.sleep(60)")
    with popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        if interrupt is signal.SIG_IGN:
            process.terminate()
        assert process.wait(30) == (-signal.SIGTERM if interrupt is signal.SIG_IGN else -signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(popen, folder, number):
    command = script(folder, "import time; print('ready', flush=True); time.sleep(60)")
    with popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(30) == -number


def test_it_can_be_frozen(popen, folder):
    command = script(folder, "print('ready', flush=True); input(); print('done')")
    with popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        assert os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT).si_status == signal.SIGSTOP
        process.send_signal(signal.SIGCONT)
        assert process.communicate("\n", timeout=30)[0] == "done\n"


def test_it_may_have_a_terminal_of_its_own(folder):
    master, slave = pty.openpty()
    command = script(
        folder, "import os, sys; sys.exit(os.tcgetpgrp(0) != os.getpid() or not sys.stdout.line_buffering)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), slave)
    with forked.Popen(command, env=environment, start_new_session=True, **streams) as process:
        os.close(slave)
        assert process.wait(30) == 0
    os.close(master)


def test_it_is_a_child_of_this_process_and_nothing_else_becomes_one(folder):
    code = "import os\nif not os.fork(): os.fork() or os._exit(0)\nelse: os.wait(); print(os.getppid())"
    _, output, _ = outcome(forked.Popen, script(folder, code))
    assert output.split().count(str(os.getpid())) == 1


def test_libraries_are_in_memory_and_settings_are_not(folder):
    command = script(
        folder,
        "import sys; from django.conf import settings;"
        "print('openai' in sys.modules, 'rich' in sys.modules, 'twisted.internet.reactor' in sys.modules,"
        "settings.configured)",
    )
    assert outcome(forked.Popen, command)[1] == "True True False False\n"


DJANGO = """
import django
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.core.checks import run_checks
from django.db import connection
from django.urls import get_resolver
django.setup()

def show(patterns):
    for pattern in patterns:
        print(pattern)
        show(getattr(pattern, "url_patterns", []))

for app in apps.get_app_configs():
    print(app, app.verbose_name, type(app))
for model in apps.get_models():
    print(model, model._meta.verbose_name, model in admin.site._registry, model._meta.app_config)
show(get_resolver().url_patterns)
print(run_checks())
print(connection.vendor, connection.settings_dict["NAME"], settings.MYAGENT, settings.LANGUAGE_CODE)
"""


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_django_is_set_up_as_in_a_process_of_its_own(folder, monkeypatch, language):
    monkeypatch.setenv("MYAGENT_DATA_DIR", str(folder))
    monkeypatch.setenv("MYAGENT_LANGUAGE", language)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = script(folder, DJANGO)
    code, said, errors = outcome(subprocess.Popen, command)
    assert (code, errors) == (0, "")
    assert outcome(forked.Popen, command) == (0, said, "")


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["sh", "-c", "exit"], {}),
        ([sys.executable, "-c", "pass"], {}),
        ([sys.executable, "-m", "pytest"], {}),
        ([sys.executable], {}),
        ("true", {}),
        ([sys.executable, "manage.py"], {"PYTHONUTF8": "0"}),
        ([sys.executable, "manage.py"], {"LC_ALL": "C.of-no-use"}),
        ([sys.executable, "manage.py"], {"MYAGENT_TEST_EXEC": "1"}),
    ],
)
def test_what_is_executed_after_all(command, extra, monkeypatch):
    if "MYAGENT_TEST_EXEC" in extra:
        monkeypatch.setenv("MYAGENT_TEST_EXEC", "1")
    assert not forked.can_fork(command, {**os.environ, **extra})


def test_run_is_as_in_subprocess(folder):
    command = script(folder, "import sys; print(input()); sys.exit(4)")
    options = {"input": "typed", "capture_output": True, "text": True, "timeout": 60}
    one, other = subprocess.run(command, check=False, **options), forked.run(command, **options)
    assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)
    with pytest.raises(subprocess.CalledProcessError):
        forked.run(command, check=True, **options)
    with pytest.raises(subprocess.TimeoutExpired):
        forked.run(script(folder, "import time; time.sleep(60)"), timeout=0.1)


def test_the_zygote_ends_with_who_uses_it(folder):
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.support import forked\n"
        f"forked.run([sys.executable, {str(folder / 'empty.py')!r}])\n"
        "print(forked._zygote()._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    (folder / "empty.py").touch()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.read())
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        end = os.pidfd_open(pid)
        assert select.select([end], [], [], 30)[0] == [end]
        os.close(end)
