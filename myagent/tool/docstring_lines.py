"""What single lines of docstrings mean: headings, entries about a parameter, fields. Pure functions on text.

Punctuation may be full-width and headings Chinese, as Chinese authors type them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Kind = Literal["arguments", "left_out"]

_HEADINGS: dict[str, Kind] = {
    **dict.fromkeys(
        (
            *("args", "arg", "arguments", "argument", "parameters", "parameter", "params", "param", "kwargs", "inputs"),
            *("input", "keyword args", "keyword arguments", "keyword parameters", "other parameters", "other args"),
            *("other arguments", "input parameters", "function parameters", "required parameters", "required args"),
            *("optional parameters", "optional args", "optional arguments", "required arguments"),
            *("参数", "參數", "参数说明", "參數說明", "参数列表", "参数描述", "输入参数", "入参", "形参", "输入"),
            *("函数参数", "方法参数", "关键字参数", "可选参数", "必填参数", "必选参数", "其他参数"),
        ),
        "arguments",
    ),
    **dict.fromkeys(
        (
            *("return", "returns", "return value", "return values", "yield", "yields", "raise", "raises", "throws"),
            *(
                "exceptions",
                "返回",
                "返回值",
                "返回结果",
                "返回值说明",
                "回傳",
                "回傳值",
                "产生",
                "异常",
                "抛出",
                "抛出异常",
            ),
            *("例外", "引发"),
        ),
        "left_out",
    ),
}
_MARKUP = " \t#*_`=~【】「」"
_IN_BRACKETS = re.compile(r"\s*[(（][^()（）]*[)）]$")
_UNDERLINE = re.compile(r"[-=~]{3,}")

_QUOTE = r"[`'\"“”*]{0,3}"
_BULLET = re.compile(r"[-+*•·‣]\s+|\d{1,2}(?:[.)]\s+|[、）]\s*)|[(（]\d{1,2}[)）]\s*")
_NAME = rf"{_QUOTE}([^\W\d]\w*){_QUOTE}"
_NAMES = re.compile(rf"{_NAME}(?:\s*[,，、/]\s*{_NAME})*")
_COLON = re.compile(rf"\s*{_QUOTE}\s*[:：]\s*(?:\*{{1,2}}(?=\s|$))?\s*")
# A minus sign may be part of a word, so it has a space before it; words in Chinese need no more than a space.
_DASH = re.compile(r"\s+(?:-{1,3}|->|=>|→)\s+|\s*[–—―]{1,2}\s*|\s*\t\s*|\s{2,}|\s+(?=[^\x00-\x7f])")

_FIELD = re.compile(r"(?P<mark>[:：@\\])(?P<word>[^\W\d]\w*)(?P<rest>.*)")
_FIELDS_OF_PARAMETERS = {"param", "parameter", "arg", "argument", "key", "keyword", "kwarg", "kwparam", "参数"}
_FIELDS_LEFT_OUT = {
    *("type", "return", "returns", "rtype", "raise", "raises", "except", "exception", "throws", "yield", "yields"),
    *("ytype", "kwtype", "vartype", "返回", "返回值", "类型", "异常"),
}
_TYPE_WORDS = {
    *("str", "string", "int", "integer", "float", "number", "double", "bool", "boolean", "list", "array", "dict"),
    *("tuple", "set", "frozenset", "object", "any", "bytes", "date", "datetime", "time", "path", "none", "null"),
    *("sequence", "iterable", "mapping", "callable", "optional", "required", "union", "literal", "enum", "decimal"),
    *(
        "字符串",
        "整数",
        "数字",
        "浮点数",
        "布尔",
        "布尔值",
        "列表",
        "字典",
        "数组",
        "对象",
        "可选",
        "必填",
        "必选",
        "选填",
    ),
}


@dataclass(frozen=True, slots=True)
class Described:
    """What a line says of parameters: a line may name several. `text` is empty where it only names them."""

    names: tuple[str, ...]
    text: str


def heading(line: str, below: str) -> Kind | None:
    """The kind of section that `line` begins, if it is marked as a heading: by a colon, by Markdown, or by what is
    `below` it.
    """
    text = line.strip(_MARKUP)
    word = text.rstrip(":： ")
    marked = word != text or is_underline(below) or line.strip().startswith(("#", "**", "【"))
    return bare_heading(word) if marked else None


def bare_heading(line: str) -> Kind | None:
    """The kind of section that `line` might begin, if no more than its words count."""
    word = _IN_BRACKETS.sub("", line.strip(_MARKUP)).strip(_MARKUP).lower()
    return _HEADINGS.get(" ".join(word.split()))


def is_underline(line: str) -> bool:
    """Whether a line is what NumPy's style has below a heading."""
    return _UNDERLINE.fullmatch(line.strip()) is not None


def read_entry(line: str, names: Collection[str] | None) -> Described | None:
    """What a line in a section says of `names`, None where it says nothing of them, or of others, too."""
    text = line.strip()
    bullet = _BULLET.match(text)
    start = bullet.end() if bullet else 0
    found = _NAMES.match(text, start)
    if found is None:
        return None
    named = tuple(re.findall(r"\w+", found[0]))
    if names is not None and not all(name in names for name in named):
        return None
    remark, rest = _bracketed(text[found.end() :])
    separator = _COLON.match(rest) or _DASH.match(rest)
    if rest and separator is None:
        return None
    return Described(named, " ".join(filter(None, (remark, rest[separator.end() :] if separator else ""))))


def is_entry_of_another(line: str) -> bool:
    """Whether a line in a section looks as if it were about something, with a name and a colon."""
    entry = read_entry(line, None)
    return entry is not None and re.match(r"\s*\S+?\s*(?:[(（].*?[)）]\s*)?[:：]", line) is not None


def read_field(line: str, names: Collection[str] | None) -> Described | Literal["left_out"] | None:
    """What a field of Sphinx (`:param city: …`) or epytext (`@param city: …`) says of `names`."""
    found = _FIELD.fullmatch(line.strip())
    if found is None:
        return None
    is_sphinx, word, rest = found["mark"] in ":：", found["word"], found["rest"]
    if word in _FIELDS_OF_PARAMETERS and rest[:1].isspace():
        return _read_parameter(rest.strip(), names)
    if is_sphinx and names is not None and word in names and rest[:1] in (":", "："):
        return Described((word,), rest[1:].strip())
    if word in _FIELDS_LEFT_OUT and (rest[:1] in (":", "：") or (rest[:1].isspace() and (":" in rest or "：" in rest))):
        return "left_out"
    return "left_out" if word in _FIELDS_LEFT_OUT and not is_sphinx and rest[:1] in ("", " ") else None


def _read_parameter(text: str, names: Collection[str] | None) -> Described | None:
    """What follows `param`: a name with or without a type before or behind it, and the description."""
    text = re.sub(r"^\{[^{}]*\}\s*", "", text)
    head, colon, said = re.match(r"([^:：]*)([:：]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    words = [word.strip("`'\"*\\") for word in head.split()]
    if not words:
        return None

    def is_known(word: str) -> bool:
        return word.isidentifier() and (names is None or word in names)

    if colon and is_known(words[-1]) and (len(words) == 1 or names is None or not is_known(words[0])):
        return Described((words[-1],), said.strip())
    if is_known(words[0]):
        rest = text.split(None, 1)[1] if len(words) > 1 else ""
        remark, rest = _bracketed(rest)
        rest = re.sub(r"^\s*(?:[:：]|-{1,3}\s|[–—―]{1,2})\s*", "", rest)
        return Described((words[0],), " ".join(filter(None, (remark, rest))))
    return None


def _bracketed(text: str) -> tuple[str, str]:
    """A remark in brackets at the beginning, empty if it is a type, and what comes behind it."""
    closing = {"(": ")", "（": "）", "[": "]", "{": "}"}
    body = text.lstrip()
    if body[:1] not in closing:
        return "", text
    depth = 0
    for at, letter in enumerate(body):
        depth += (letter in closing) - (letter in closing.values())
        if not depth:
            inner = body[1:at].strip()
            return "" if _is_type(inner) else body[: at + 1], body[at + 1 :]
    return "", text


def _is_type(text: str) -> bool:
    first = re.split(r"[\s,，\[|]", text, maxsplit=1)[0]
    return first.lower() in _TYPE_WORDS or re.fullmatch(r"[A-Za-z_][\w.]*(?:\[.*\])?(?:\s*\|.*)?", text) is not None
