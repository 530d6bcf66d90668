"""`myagent-ws new`: the file that it writes, and what it refuses to do."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agents.console.check_report import check_sources
from agents.loading.agent_folders import folders
from agents.loading.loader import load_agent
from myagent import i18n
from myagent.cli import main as command
from myagent.cli.new import TEMPLATES, CannotWrite, agent_name, write_agent
from myagent.llm.demo import DemoLLM
from myagent.testing import ScriptedLLM, call
from tests.myagent.cli.test_main import COMMAND, run

LANGUAGES = sorted(i18n.LANGUAGES)


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """In an empty folder, speaking English; nothing of one test is importable in the next."""
    monkeypatch.chdir(tmp_path)
    i18n.use_language("en")
    yield
    folders.forget()
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


def test_there_is_a_template_in_every_language():
    assert sorted(path.stem for path in TEMPLATES.glob("*.py")) == LANGUAGES


def test_the_templates_are_one_program_in_two_languages():
    def shape(language):
        tree = ast.parse((TEMPLATES / f"{language}.py").read_text(encoding="utf-8"))
        return [type(node).__name__ for node in ast.walk(tree)]

    assert shape("en") == shape("zh-hans")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_written_passes_the_strictest_check(language):
    write_agent("counter.py", language)
    report = check_sources(["counter.py"])
    assert report.findings == ()
    assert [loaded.name for loaded in report.agents] == ["counter"]
    assert "counter.py" in Path("counter.py").read_text(encoding="utf-8").partition('"""\n\n')[0]


@pytest.mark.parametrize(
    ("language", "said", "answered"),
    [
        ("en", "What are your opening hours?", "Monday to Friday 9 to 18"),
        ("zh-hans", "你们的营业时间是什么？", "周一到周五 9 点到 18 点"),
    ],
)
async def test_the_demo_model_answers_what_the_file_proposes(language, said, answered):
    path = write_agent("counter.py", language)
    assert said in path.read_text(encoding="utf-8")
    agent = load_agent(str(path))
    assert answered in await ask(agent, said)


@pytest.mark.parametrize(
    ("language", "said", "left"),
    [
        ("en", "This is urgent: please call me back", "Message 1 is left for the staff (urgent)"),
        ("zh-hans", "这件事很紧急：请给我回电话", "已给店员留下第 1 条留言（紧急）"),
    ],
)
async def test_a_message_is_left_after_a_yes_only(language, said, left):
    path = write_agent("counter.py", language)
    assert said in path.read_text(encoding="utf-8")
    agent = load_agent(str(path))
    assert left not in await ask(agent, said)
    asked = []

    async def yes(request):
        asked.append(request.tool_args["text"])
        return True

    assert left in await ask(agent, said, confirm=yes)
    assert asked == [said]


async def ask(agent, text, llm=None, **options):
    return await replace(agent, llm=llm or DemoLLM(delay=0)).arun(text, **options)


async def test_a_value_that_is_not_known_does_not_reach_the_tool():
    agent = load_agent(str(write_agent("counter.py", "en")))
    llm = ScriptedLLM([call("look_up", topic="prices"), "I do not know."])
    assert await ask(agent, "What does it cost?", llm) == "I do not know."
    assert "opening hours" in llm.requests[1].messages[-1].text


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("my_agent", "my-agent"),
        ("weather", "weather"),
        ("_hidden__agent_", "hidden-agent"),
        ("天气助手", "天气助手"),
        ("a" * 80, "a" * 64),
    ],
)
def test_the_agent_is_called_after_its_file(stem, name):
    assert agent_name(stem) == name
    assert [loaded.name for loaded in check_sources([str(write_agent(f"{stem}.py", "en"))]).agents] == [name]


def test_the_ending_may_be_left_out():
    assert write_agent("counter", "en") == Path("counter.py")


def test_nothing_is_ever_overwritten(tmp_path):
    Path("mine.py").write_text("precious")
    Path("link.py").symlink_to(tmp_path / "elsewhere.py")
    for name in ("mine.py", "mine", "link.py"):
        with pytest.raises(CannotWrite, match="is there already and was left as it is"):
            write_agent(name, "en")
    assert Path("mine.py").read_text() == "precious"
    assert not (tmp_path / "elsewhere.py").exists()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("json.py", r"would hide the Python module json\. .* json_agent\.py"),
        ("myagent", r"would hide the Python module myagent"),
        ("rich.py", r"would hide the Python module rich"),
        ("my-agent.py", r"cannot import a file called my-agent\.py\. Call it my_agent\.py"),
        ("2nd agent", r"Call it agent_2nd_agent\.py"),
        ("_.py", r"Call it agent\.py"),
    ],
)
def test_names_that_cannot_be(file, words):
    with pytest.raises(CannotWrite, match=words):
        write_agent(file, "en")
    assert list(Path().iterdir()) == []


def test_folders_are_made_for_it(tmp_path):
    assert write_agent("new/folder/shop", "en") == Path("new/folder/shop.py")
    assert Path("new/folder/shop.py").exists()
    Path("file").write_text("")
    for name in ("file/shop", "file/folder/shop"):
        with pytest.raises(CannotWrite, match=r"shop\.py cannot be written: .*(File exists|Not a directory)"):
            write_agent(name, "en")


def test_a_module_of_the_same_folder_is_in_nobodys_way(monkeypatch):
    monkeypatch.syspath_prepend("")
    Path("shop.py").write_text("")
    with pytest.raises(CannotWrite, match="is there already"):
        write_agent("shop.py", "en")


def test_the_command_says_what_to_do_next(capsys, monkeypatch):
    monkeypatch.setenv("MYAGENT_LANGUAGE", "en")
    assert command.main(["new", "shop.py"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("✅ shop.py is written.")
    steps = [line.split()[1] for line in said.splitlines() if line.strip().startswith("myagent-ws")]
    assert steps and set(steps) <= set(command.COMMANDS)
    assert command.main(["new", "shop.py"]) == 1
    assert capsys.readouterr().err == "❌ shop.py is there already and was left as it is. Choose another name.\n"


def test_the_language_of_the_comments(capsys, monkeypatch):
    monkeypatch.delenv("MYAGENT_LANGUAGE", raising=False)
    command.main(["new", "first.py"])
    assert "小店前台" in Path("first.py").read_text(encoding="utf-8")
    assert "已写入" in capsys.readouterr().out
    monkeypatch.setenv("MYAGENT_LANGUAGE", "en")
    command.main(["new", "second.py"])
    assert "small shop" in Path("second.py").read_text(encoding="utf-8")
    command.main(["new", "third.py", "--language", "zh-hans"])
    assert "小店前台" in Path("third.py").read_text(encoding="utf-8")
    monkeypatch.setenv("MYAGENT_LANGUAGE", "fr")
    with pytest.raises(SystemExit, match="MYAGENT_LANGUAGE: 'fr' is not a language"):
        command.main(["new", "fourth.py"])


def test_from_the_shell_it_leaves_nothing_but_the_file(tmp_path):
    done = run([*COMMAND, "new", "shop.py"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["shop.py"]


def test_it_needs_no_django():
    code = "import sys; from myagent.cli.main import main; main(['new', 'a.py']); assert 'django' not in sys.modules"
    assert run([sys.executable, "-c", code], Path.cwd()).returncode == 0
