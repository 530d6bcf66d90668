import json

import pytest

from myagent.llm.demo_calls import choose_calls

CITIES = ["北京", "上海", "New York"]


def tool(name, description, required=(), /, **properties):
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


CITY = {"type": "string", "description": "城市名称", "enum": CITIES}
WEATHER = tool("get_weather", "查询指定城市的天气信息", ["city"], city=CITY)
CITY_INFO = tool("get_city_info", "获取城市的基本信息，如人口、面积", ["city"], city=CITY)
HELLO = tool("say_hello", "向用户打招呼", ["name"], name={"type": "string", "description": "用户名称"})
ROUTE = tool("route", "The way from one city to another", ["to", "by"], start=CITY, to=CITY, by={"default": "train"})


def calls(text, *tools):
    return [(call.tool, json.loads(call.arguments)) for call in choose_calls(text, tools)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("北京今天天气怎么样？", [("get_weather", {"city": "北京"})]),
        ("告诉我上海的基本信息", [("get_city_info", {"city": "上海"})]),
        ("what is the weather in new york?", [("get_weather", {"city": "New York"})]),
        ("城市 New York 的人口", [("get_city_info", {"city": "New York"})]),
        ("上海和北京的天气", [("get_weather", {"city": "上海"}), ("get_weather", {"city": "北京"})]),
        ("北京天气，北京！", [("get_weather", {"city": "北京"})]),
        ("北京", [("get_weather", {"city": "北京"})]),
        ("你好！", []),
        ("New Yorkers", []),
        ("", []),
    ],
)
def test_the_seeds_weather_agent(text, expected):
    assert calls(text, WEATHER, CITY_INFO, HELLO) == expected


def test_the_order_of_the_tools_does_not_choose_where_the_words_do():
    assert calls("告诉我上海的基本信息", CITY_INFO, WEATHER) == calls("告诉我上海的基本信息", WEATHER, CITY_INFO)


def test_two_values_fill_two_parameters_of_one_call():
    assert calls("from 上海 to 北京", ROUTE) == [("route", {"to": "上海", "start": "北京", "by": "train"})]


def test_the_longer_of_two_overlapping_values_is_meant():
    district = tool("district", "", ["name"], name={"enum": ["北京", "北京市", "京市"]})
    assert calls("去北京市", district) == [("district", {"name": "北京市"})]


@pytest.mark.parametrize(
    ("about", "value"),
    [
        ({"examples": ["e"], "default": "d", "enum": ["n"]}, "e"),
        ({"default": "d", "enum": ["n"]}, "d"),
        ({"enum": ["n", "m"]}, "n"),
        ({"type": "array", "items": {"enum": ["n"]}}, ["n"]),
        ({"$ref": "#/$defs/Unit"}, "celsius"),
        ({"type": "integer"}, 1),
        ({"type": "number", "minimum": 5}, 5),
        ({"type": "boolean"}, False),
        ({"type": "array"}, []),
        ({"type": "object"}, {}),
        ({"type": "string"}, "the 北京 text"),
    ],
)
def test_required_parameters_are_made_up(about, value):
    schema = tool("t", "", ["city", "other"], city=CITY, other=about)
    schema["function"]["parameters"]["$defs"] = {"Unit": {"enum": ["celsius", "kelvin"]}}
    assert calls("the 北京 text", schema) == [("t", {"city": "北京", "other": value})]


@pytest.mark.parametrize(
    ("about", "text", "value"),
    [
        ({"examples": ["Oslo"]}, "in oslo now", "Oslo"),
        ({"anyOf": [{"enum": ["Oslo"]}, {"type": "null"}]}, "Oslo", "Oslo"),
        ({"type": "integer", "enum": [7, 70]}, "take 70 of them", 70),
        ({"type": "array", "items": {"enum": ["Oslo"]}}, "Oslo", ["Oslo"]),
        ({"$ref": "#/$defs/Town"}, "Oslo", "Oslo"),
    ],
)
def test_where_values_are_found(about, text, value):
    schema = tool("t", "", x=about)
    schema["function"]["parameters"]["$defs"] = {"Town": {"enum": ["Oslo"]}}
    assert calls(text, schema) == [("t", {"x": value})]


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object"}, {"properties": {"x": True}}])
def test_tools_without_values_are_not_called(parameters):
    assert calls("True x", {"type": "function", "function": {"name": "x", "parameters": parameters}}) == []
