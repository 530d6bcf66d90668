"""How much one answer may take, and who answers when the model cannot. 一次回答的上限，以及模型不可用时由谁来回答。

    myagent-ws server examples/limits_and_fallback.py --llm demo

Say "Look at Mars, Venus and Saturn". One answer may make two tool calls here: the third is not run, and the model is
asked once more, without tools, to sum up. The answer says so in `metadata.finish` and `metadata.limit`, and clients are
told at 80 %. A process that dies in between does not begin to count anew.
When the first model is unreachable, silent or overloaded, the second one answers; people see one answer. A refused key
leads to no other model: it would stay hidden. With `--llm demo` neither is asked. For both, set `OPENAI_API_KEY`, and
`SECOND_URL` for the second one's endpoint.

试着说 “Look at Mars, Venus and Saturn”。这里一次回答最多调用两次工具：第三次不会执行，
模型再被问一次，不带工具，让它作出总结。回答在 `metadata.finish` 和 `metadata.limit` 里说明这一点，
用到 80 % 时客户端会得到通知；中途有进程死掉，也不会重新计数。
第一个模型连不上、没有声音或过载时，由第二个回答，人看到的是一个回答；
密钥被拒绝则不换模型，否则问题会被掩盖。`--llm demo` 时两个都不会被问到；
要用它们，请设置 `OPENAI_API_KEY`，第二个的地址用 `SECOND_URL` 设置。
"""

import os
from typing import Literal

from myagent import OpenAILLM, create_react_agent, tool

PLANETS = {"Mars": "red and cold", "Venus": "bright and hot", "Saturn": "ringed"}


@tool(idempotent=True)
def look_at(planet: Literal["Mars", "Venus", "Saturn"]) -> str:
    """Look at a planet.

    Args:
        planet: which one
    """
    return f"{planet} is {PLANETS[planet]}."


agent = create_react_agent(
    name="stargazer",
    description="Looks at planets, at two for each answer",
    examples=["Look at Mars, Venus and Saturn"],
    system_prompt="Look at the planets that the user names. Never guess.",
    tools=[look_at],
    llm=["gpt-4o-mini", OpenAILLM("qwen-plus", base_url=os.environ.get("SECOND_URL"))],
    max_tool_calls=2,
    max_tokens=50_000,
    max_seconds=120,
    repeat_limit=2,
)
