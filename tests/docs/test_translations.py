"""Every text is there in both languages, and the compiled catalogue is the one that is written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from babel.messages import Catalog
from django.utils import translation

from agents.models import AccessToken, HostedAgent
from myagent import i18n
from myagent.protocol import direct_events, server_events
from myagent.protocol.codec import CLIENT_EVENT_NAMES
from myagent.protocol.server_base import event_classes
from sessions_app.models import Run, Session, ToolCall
from tests.support import catalogue

PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sdgr]|\{\w+\}")
STORED = catalogue.stored()


@pytest.fixture(scope="module")
def messages():
    """All texts; each worker would collect them, if they were the parameters of a test."""
    return [message for message in catalogue.texts() if message.id]


def name(text: object) -> str:
    return str(text)[:60]


@pytest.mark.parametrize(
    ("named", "language"),
    [
        ("zh", "zh-hans"),
        ("ZH-CN", "zh-hans"),
        ("zh_CN.UTF-8", "zh-hans"),
        ("zh-Hans-SG", "zh-hans"),
        (" en-US ", "en"),
        ("en_GB.utf8@euro", "en"),
        ("zh_TW.UTF-8", None),  # another script
        ("zh-Hant", None),
        ("fr", None),
        ("english", None),
        ("C.UTF-8", None),
        ("", None),
    ],
)
def test_languages_as_systems_name_them(named, language):
    assert i18n.find_language(named) == language


def is_translated(message):
    translated = STORED.get(message.id, message.context)
    return translated is not None and translated.string and all(translated.string) and not translated.fuzzy


EVERY_DOOR = ("sessions_app/services/", "sessions_app/state_export/", "sessions_app/journal/", "agents/budgets/")
EVENT_NAMES = CLIENT_EVENT_NAMES | event_classes(server_events).keys() | event_classes(direct_events).keys()


def test_what_every_door_says_names_no_event_of_the_websocket(messages):
    said = [message.id for message in messages if any(path.startswith(EVERY_DOOR) for path, _ in message.locations)]
    assert len(said) > 50
    assert [text for text in map(str, said) if any(event in text for event in EVENT_NAMES)] == []


def test_everything_is_translated(messages):
    lacking = [name(message.id) for message in messages if not is_translated(message)]
    assert lacking == [], "run python -m tests.support.catalogue and translate what is new"


def test_what_is_filled_in_is_filled_in_in_both(messages):
    assert len(messages) > 500
    for message in messages:
        if isinstance(message.id, str):
            translated = STORED.get(message.id, message.context).string
            assert sorted(PLACEHOLDER.findall(message.id)) == sorted(PLACEHOLDER.findall(translated))


def test_nothing_is_left_over(messages):
    stored = {(message.context, message.id) for message in STORED if message.id}
    assert stored == {(message.context, message.id) for message in messages}


def words(of: Catalog) -> dict[object, object]:
    return {(message.context, plain(message.id)): plain(message.string) for message in of if message.id}


def plain(text: object) -> object:
    """A text, or the forms of one that depends on a number; the two readers differ in how they hold these."""
    return text if isinstance(text, str) else tuple(text)


def test_the_compiled_catalogue_is_up_to_date():
    # The words and not the bytes: the header of the file names the version of the compiler.
    assert words(catalogue.compiled()) == words(STORED)


@pytest.mark.parametrize(
    ("english", "seed"),
    [
        ("The session was created.", "会话创建成功"),
        ("Analysing your question...", "正在分析您的问题..."),
        ("Calling tool: %(tool)s", "调用工具: %(tool)s"),
        ("The run was cancelled.", "执行已取消"),
        ("No 'agent' variable was found in %(file)s", "在 %(file)s 中未找到 'agent' 变量"),
        ("Server error: %(error)s", "服务器错误: %(error)s"),
    ],
)
def test_the_seeds_words(english, seed):
    i18n.use_language("zh-hans")
    assert i18n.gettext(english) == seed


@pytest.mark.parametrize(
    ("model", "field", "words"),
    [
        (Run, "queued_at", "入队时间"),
        (Run, "started_at", "开始时间"),
        (ToolCall, "asked_at", "发起时间"),
        (HostedAgent, "failed_at", "失败时间"),
        (AccessToken, "revoked_at", "撤销时间"),
        (Session, "state", "状态数据"),
    ],
)
def test_one_english_word_of_two_meanings_is_two_words(model, field, words):
    column = model._meta.get_field(field)
    with translation.override("zh-hans"):
        assert column.verbose_name == words
    with translation.override("en"):
        assert column.verbose_name == field.removesuffix("_at")


def test_unknown_language_is_refused():
    with pytest.raises(ValueError, match="zh-hans, en"):
        i18n.use_language("fr")


# --- nothing is said past the catalogue -------------------------------------------------------------------------------

MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_noop", "pgettext", "pgettext_lazy"}
SPEAKERS = {
    *("AgentDefinitionError", "ArgumentTypeError", "CommandError", "ImproperlyConfigured", "ProtocolError"),
    *("PydanticCustomError", "bad_field", "Error", "Warning", "Row", "Text", "Column", "message_user"),
    *("RetryTool", "ToolFailed", "ToolResult", "unknown_arguments", "wrong_arguments", "_Declined"),
    *("print", "write", "input", "ask", "add_row"),
}
"""Whatever is called with words for people: errors of users' making, checks, rows of the console, output,
what becomes of a tool call."""
SPOKEN = {"help", "hint", "verbose_name", "verbose_name_plural", "short_description", "epilog", "title"}
"""Arguments that are words for people, whoever takes them."""
SENTENCE = re.compile(r"[^\W\d_]{2,}\W*\s+\W*[^\W\d_]{2,}")
COMMANDS = {"manage.py createtoken NAME --create-user", "pip install 'psycopg[binary,pool]'", "bold green"}
"""Words that are the same in every language."""


def called(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def unmarked(node: ast.AST) -> Iterator[ast.Constant]:
    """The sentences in an expression that no gettext looks up."""
    if isinstance(node, ast.Call) and called(node.func) in MARKS:
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and SENTENCE.search(node.value):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from unmarked(child)


def spoken(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions that end up before people."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if called(node.func) in SPEAKERS:
                yield from node.args
                yield from (keyword.value for keyword in node.keywords if keyword.arg not in ("id", "style"))
            yield from (keyword.value for keyword in node.keywords if keyword.arg in SPOKEN)


@pytest.mark.parametrize("source", catalogue.SOURCES)
def test_what_is_said_to_people_is_in_the_catalogue(source):
    found = [
        f"{path.relative_to(catalogue.ROOT)}:{constant.lineno}: {constant.value}"
        for path in sorted((catalogue.ROOT / source).rglob("*.py"))
        if not {"migrations", "templates"} & set(path.parts)
        for expression in spoken(ast.parse(path.read_text(encoding="utf-8")))
        for constant in unmarked(expression)
        if constant.value not in COMMANDS
    ]
    assert found == []


def test_a_sentence_past_the_catalogue_is_found():
    code = (
        'raise CommandError(f"Nothing is {said} here")\nparser.add_argument("x", help="two words")\nwrite(_("no, no"))'
    )
    found = [constant.value for expression in spoken(ast.parse(code)) for constant in unmarked(expression)]
    assert found == ["Nothing is ", "two words"]
