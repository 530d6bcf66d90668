"""Docstrings in the styles that authors write: what is understood describes a parameter, the rest stays in the text."""

from __future__ import annotations

import functools

import pytest

from myagent import tool
from myagent.tool.docstring import read_docstring, split_docstring

NAMES = ("city", "days", "args", "kwargs", "run")


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        (None, ("", {})),
        ("Look up.", ("Look up.", {})),
        ("Look up.\n\n    More.\n    ", ("Look up.\n\nMore.", {})),
        (
            "Look up.\n\n    Args:\n        a: First.\n        b (int): Second:\n            of two.\n\n"
            "    Returns:\n        c: Nothing.\n    ",
            ("Look up.", {"a": "First.", "b": "Second: of two."}),
        ),
        (
            "Look up.\n\n    :param a: First.\n    :param int b: Second,\n        of two.\n    :return: Nothing.\n",
            ("Look up.", {"a": "First.", "b": "Second, of two."}),
        ),
        ("Args:\n    a: First.\n\nAnd then: more.", ("And then: more.", {"a": "First."})),
    ],
)
def test_without_names_any_name_is_a_parameters(docstring, expected):
    assert split_docstring(docstring) == expected


BOTH = {"city": "the city", "days": "how many"}


@pytest.mark.parametrize(
    "docstring",
    [
        "Args:\n    city: the city\n    days: how many",
        "Args：\n    city：the city\n    days：how many",
        "参数：\n    city：the city\n    days（整数，可选）：how many\n\n返回：\n    文字",
        "参数:\ncity: the city\ndays: how many\n返回:\n文字",
        "参数说明：\n1、city：the city\n2、days：how many",
        "参数\n- city：the city\n- days：how many",
        "【参数】\n* city —— the city\n* days —— how many",
        "ARGUMENTS:\n    city - the city\n    days - how many",
        "Params:\n    city -- the city\n    days -- how many",
        "Parameters:\n    city — the city\n    days – how many",
        "Args:\n    city: the city\n\n    days: how many\n\nRaises:\n    ValueError: never",
        "Args:\n    - city: the city\n    - days (int, optional): how many",
        "Args:\n    * `city` (str): the city\n    * **days**: how many",
        "**Args:**\n- **city:** the city\n- **days:** how many",
        "## Parameters\n\n- `city` - the city\n- `days` - how many",
        "Args:\n    1. city: the city\n    2. days: how many",
        "Args:\n    city (Dict[str, Tuple[int, int]]): the city\n    days (Literal['a', 'b'] | None): how many",
        "Arguments:\n    city {str} -- the city\n    days {int} -- how many",
        "Args:\n    city:\n        the city\n    days (int):\n        how\n        many",
        "Args:\n\tcity: the city\n\tdays: how many",
        "Args:\n    city    the city\n    days    how many",
        "Keyword Args:\n    city: the city\n\nOther Parameters:\n    days: how many",
        "Parameters\n----------\ncity : str\n    the city\ndays : int\n    how many\n\nReturns\n-------\nstr",
        "Parameters\n==========\ncity\n    the city\ndays: how many",
        ":param city: the city\n:type city: str\n:param int days: how\n    many\n:raises ValueError: never",
        ":param city：the city\n：param days：how many",
        ":arg city: the city\n:keyword dict[str, int] days: how many",
        ":city: the city\n:days: how many",
        "@param city: the city\n@type city: str\n@param days: how many\n@return: the weather",
        "@param {string} city - the city\n@param days how many",
        "\\param city the city\n\\param days how many",
    ],
)
def test_every_style_describes_both(docstring):
    assert split_docstring(f"Look.\n\n{docstring}\n", NAMES) == ("Look.", BOTH)


def test_chinese_words_need_no_mark_behind_the_name():
    text = "查。\n\n参数：\n    city 城市名\n    days（最多五天）：几天"
    assert split_docstring(text, NAMES) == ("查。", {"city": "城市名", "days": "（最多五天） 几天"})


@pytest.mark.parametrize(
    ("docstring", "text", "descriptions"),
    [
        (
            "Args:\n    Read on.\n    city: the city\n    nobody: unknown,\n        all of it\n    days: how many",
            "Args:\n    Read on.\n    nobody: unknown,\n        all of it",
            BOTH,
        ),
        (":param nobody: unknown\n:param city: the city", ":param nobody: unknown", {"city": "the city"}),
        ("@note: look out\n@param city: the city", "@note: look out", {"city": "the city"}),
        (
            "Parameters\n----------\ncity : str\n    the city\nother : int\n    unknown",
            "Parameters\n----------\nother : int\n    unknown",
            {"city": "the city"},
        ),
        ("Args: city is the city\nand days how many", "Args: city is the city\nand days how many", {}),
        ("参数：city（城市），days（天数）", "参数：city（城市），days（天数）", {}),
        ("Args:\n    nothing is said here", "Args:\n    nothing is said here", {}),
        ("Args:\n    city, nobody: two", "Args:\n    city, nobody: two", {}),
        ("Examples:\n    look('Oslo')", "Examples:\n    look('Oslo')", {}),
        ("Args:\n    city: the city\n\nNote: it is hot.", "Note: it is hot.", {"city": "the city"}),
        ("Like:\n    code\n        deeper", "Like:\n    code\n        deeper", {}),
        ("Use @tool or\n@return_it", "Use @tool or\n@return_it", {}),
    ],
)
def test_what_is_not_understood_stays_in_the_text(docstring, text, descriptions):
    assert split_docstring(f"Look.\n\n{docstring}", NAMES) == (f"Look.\n\n{text}", descriptions)


def test_long_descriptions():
    docstring = """Look.

    Args:
        city: the city,
            in English: not its
            Returns: or other words

            A second paragraph.
        days, kwargs: one of
            - one
            - two
    """
    assert split_docstring(docstring, NAMES) == (
        "Look.",
        {
            "city": "the city, in English: not its Returns: or other words A second paragraph.",
            "days": "one of\n- one\n- two",
            "kwargs": "one of\n- one\n- two",
        },
    )


def test_what_is_said_of_the_run_is_not_for_the_model():
    class Guide:
        def look(self, city: str, run: object = None) -> str:
            """Look.

            Args:
                run: the run
                city: the city
            """
            return city

    assert read_docstring(Guide().look)[0] == "Look."


def test_functions_below_partial_and_decorators():
    def look(city: str, days: int) -> str:
        """Look.

        参数：
            city：城市
            days：几天
        """
        return city

    @functools.wraps(look)
    def logged(*args, **kwargs):
        return look(*args, **kwargs)

    class Caller:
        """What is called."""

        def __call__(self, city: str) -> str:
            """Look.

            Args:
                city: 城市
            """
            return city

    for function in (look, logged, functools.partial(logged, days=3), Caller()):
        made = tool(name="look")(function).schema()["function"]
        assert made["description"] == "Look."
        assert made["parameters"]["properties"]["city"]["description"] == "城市"


def test_descriptions_of_the_authors_own_schema_come_first():
    schema = {"properties": {"city": {"type": "string"}, "days": {"type": "integer", "description": "up to 5"}}}

    @tool(parameters=schema)
    def look(city: str, days: int = 1) -> str:
        """Look.

        Args:
            city: the city
            days: how many
        """
        return city

    properties = look.schema()["function"]["parameters"]["properties"]
    assert [item["description"] for item in properties.values()] == ["the city", "up to 5"]
    assert "description" not in schema["properties"]["city"]
