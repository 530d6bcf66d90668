"""Every text is there in both languages, and the compiled catalogue is the one that is written."""

from __future__ import annotations

import re

import pytest
from babel.messages import Catalog
from django.utils import translation

from agents.models import AccessToken, HostedAgent
from myagent import i18n
from sessions_app.models import Run, Session, ToolCall
from tests import catalogue

PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sdgr]|\{\w+\}")
TEXTS = [message for message in catalogue.texts() if message.id]
STORED = catalogue.stored()


def name(text: object) -> str:
    return str(text)[:60]


@pytest.mark.parametrize("message", TEXTS, ids=lambda message: name(message.id))
def test_is_translated(message):
    translated = STORED.get(message.id, message.context)
    assert translated is not None and translated.string and all(translated.string), (
        "run python -m tests.catalogue and translate what is new"
    )
    assert not translated.fuzzy
    if isinstance(message.id, str):
        assert sorted(PLACEHOLDER.findall(message.id)) == sorted(PLACEHOLDER.findall(translated.string))


def test_nothing_is_left_over():
    stored = {(message.context, message.id) for message in STORED if message.id}
    assert stored == {(message.context, message.id) for message in TEXTS}


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
