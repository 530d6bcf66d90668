"""Files that are saved in another encoding than UTF-8."""

from __future__ import annotations

import pytest

from agents.loading.agent_file_errors import AgentFileNotUtf8, AgentSyntaxError
from agents.loading.loader import load_agent

AGENT = "from myagent import create_react_agent\nagent = create_react_agent(name='a', description='天气')  # 查询天气\n"


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (AGENT, "gbk", "GBK"),
        ("# 一个天气助手\n" + AGENT, "gb18030", "GBK"),
        (AGENT, "utf-16", "UTF-16"),
        (AGENT, "utf-16-be", "UTF-16"),
        (AGENT.replace("天气", "x").replace("查询x", "x"), "utf-16-le", "UTF-16"),
        (AGENT, "utf-32", "UTF-32"),
        (AGENT.replace("天气", "café").replace("查询", ""), "latin-1", ""),
    ],
)
def test_a_file_that_is_not_utf_8(write, text, encoding, named):
    source = write("encoded_agent.py", text.encode(encoding))
    with pytest.raises(AgentFileNotUtf8) as caught:
        load_agent(source)
    assert source in caught.value.problem and named in caught.value.problem
    assert "UTF-8" in caught.value.cure
    assert "codec" not in str(caught.value)


def test_a_module_beside_the_file_is_named_itself(write):
    helper = write("encoded_helper.py", "NAME = '天气'\n".encode("gbk"))
    with pytest.raises(AgentFileNotUtf8) as caught:
        load_agent(write("plain_agent.py", "import encoded_helper\n" + AGENT))
    assert helper in caught.value.problem


@pytest.mark.parametrize(("start", "encoding"), [("\ufeff", "utf-8"), ("# -*- coding: gbk -*-\n", "gbk")])
def test_what_python_reads_is_all_right(write, start, encoding):
    assert load_agent(write(f"read_{encoding[:3]}.py", (start + AGENT).encode(encoding))).description == "天气"


@pytest.mark.parametrize("text", ["# -*- coding: nosuch -*-\n", "x = 1\0\n"])
def test_a_mistake_that_is_none_of_encoding(write, text):
    with pytest.raises(AgentSyntaxError) as caught:
        load_agent(write("mistaken_agent.py", text + AGENT))
    assert "line 0" not in caught.value.problem
