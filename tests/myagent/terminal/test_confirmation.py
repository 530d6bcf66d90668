"""Whether a tool may run: answers as they are typed, changed arguments, and the dialog about them."""

import io

import pytest

from myagent import i18n
from myagent.terminal.confirmation import (
    BadArguments,
    ConfirmationAnswer,
    ConfirmationDialog,
    Edit,
    No,
    Yes,
    read_arguments,
    read_choice,
    write_arguments,
)
from myagent.terminal.in_progress import Question
from myagent.terminal.input import GaveWay, Key
from myagent.terminal.screen import PlainScreen, console_for


@pytest.fixture(autouse=True)
def english():
    i18n.use_language("en")
    yield
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("y", Yes()),
        (" YES ", Yes()),
        ("是", Yes()),
        ("yes.", Yes()),
        ("n", No()),
        ("n not that", No("not that")),
        ("no, not that", No("not that")),
        ("拒绝： 不对", No("不对")),
        ("e", Edit()),
        ("修改", Edit()),
        ("", None),
        ("yo", None),
        ("y n", None),
        ("yes but first change it", None),
        ("e it", None),
    ],
)
def test_choices(text, choice):
    assert read_choice(text) == choice


def test_arguments_survive_editing():
    arguments = {"path": "文件", "n": [1, None, {"a": "\n\x1b"}]}
    assert read_arguments(write_arguments(arguments)) == arguments


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1', "line 1"),
        ('{\n"a": }', "line 2, column 6"),
        ("[1]", "one JSON object"),
        ("NaN", "not JSON"),
        ('{"a": NaN}', "not JSON"),
        ("", "not JSON"),
    ],
)
def test_arguments_with_mistakes(text, words):
    with pytest.raises(BadArguments, match=words):
        read_arguments(text)


# --- the dialog ---


@pytest.fixture(autouse=True)
def no_editor(monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)


class Typist:
    """Answers the prompts with these inputs, one after the other; `prompts` has what was asked, with the drafts."""

    def __init__(self, *inputs):
        self.inputs = list(inputs)
        self.prompts = []
        self.shown = io.StringIO()
        self.screen = PlainScreen(console_for(self.shown))

    async def __call__(self, words, draft=""):
        self.prompts.append((words, draft))
        return self.inputs.pop(0)


def dialog(args=None):
    return ConfirmationDialog(
        Question(
            step_id="q",
            call_step_id="c",
            tool="write",
            description="Writes a file",
            args=args or {"text": "one"},
            words="Allow it?",
            timeout_seconds=20,
        )
    )


@pytest.mark.parametrize(
    ("inputs", "answer"),
    [
        (["y"], ConfirmationAnswer(confirmed=True)),
        (["n"], ConfirmationAnswer(confirmed=False)),
        (["n not that"], ConfirmationAnswer(confirmed=False, reason="not that")),
        (["perhaps", "y"], ConfirmationAnswer(confirmed=True)),
        ([Key.CTRL_C], Key.CTRL_C),
        ([Key.CTRL_D], Key.CTRL_D),
        (["perhaps", GaveWay("so")], GaveWay("so")),
        (["e", Key.CTRL_D], Key.CTRL_D),
        (["e", GaveWay('{"te')], GaveWay('{"te')),
    ],
)
async def test_how_a_dialog_ends(inputs, answer):
    typist = Typist(*inputs)
    assert await dialog().ask(typist, typist.screen) == answer
    assert not typist.inputs


async def test_edited_arguments_are_shown_and_confirmed():
    typist = Typist("e", '{"text": ', '{"text": "two"}', "y")
    asking = dialog()
    assert await asking.ask(typist, typist.screen) == GaveWay(), "what happened meanwhile comes first"
    assert typist.prompts[1:] == [("JSON: ", '{"text": "one"}'), ("JSON: ", '{"text": ')]
    assert "This is not JSON" in typist.shown.getvalue()
    assert await asking.ask(typist, typist.screen) == ConfirmationAnswer(confirmed=True, args={"text": "two"})
    shown = typist.shown.getvalue()
    assert shown.count('write(text="one")') == shown.count('write(text="two")') == 1


@pytest.mark.parametrize("text", ["gnp\u202e.exe", "gnp\u202e.exe " * 20], ids=["in a line", "as JSON"])
async def test_what_is_hidden_is_shown_with_marks_and_edited_with_escapes(text):
    typist = Typist("e", "", "y")
    asking = dialog({"text": text})
    await asking.ask(typist, typist.screen)
    assert "gnp⟨U+202E⟩.exe" in typist.shown.getvalue() and "\u202e" not in typist.shown.getvalue()
    assert "gnp\\u202e.exe" in typist.prompts[1][1]
    assert await asking.ask(typist, typist.screen) == ConfirmationAnswer(confirmed=True)


@pytest.mark.parametrize("typed", ["", '{"text": "one"}'])
async def test_arguments_that_stay_as_they_are(typed):
    typist = Typist("e", typed, "y")
    asking = dialog()
    await asking.ask(typist, typist.screen)
    assert await asking.ask(typist, typist.screen) == ConfirmationAnswer(confirmed=True)


async def test_an_editor_that_cannot_be_used_changes_nothing(monkeypatch):
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    typist = Typist("e", "y")
    asking = dialog()
    assert await asking.ask(typist, typist.screen) == GaveWay()
    assert "Nothing was changed." in typist.shown.getvalue()
    assert await asking.ask(typist, typist.screen) == ConfirmationAnswer(confirmed=True)
