"""Answers that a program can read. 程序能直接使用的回答。

    myagent-ws server examples/structured_output.py --llm demo

Say "An invoice for ACME: one chair". The answer is an `Invoice`: people see its fields, and programs find it,
checked, in `metadata.output`; `await agent.arun("…")` returns an object of that class. The demo model does not think:
it fills the fields with what it finds in the message and in the result of `price_of`, which it calls first.

试着说 “An invoice for ACME: one chair”。回答是一个 `Invoice`：
人看到它的各个字段，程序在 `metadata.output` 里得到检查过的值，
`await agent.arun("…")` 返回这个类的对象。演示模型不会思考，只用消息和工具结果里的词填写字段；
它先调用 `price_of` 查价格。
"""

from typing import Literal

from pydantic import BaseModel, Field

from myagent import create_react_agent, tool

PRICES = {"chair": 49.5, "table": 180.0, "lamp": 25.0}
Item = Literal["chair", "table", "lamp"]


class Line(BaseModel):
    item: Item
    count: int = Field(ge=1)
    price: float = Field(gt=0, description="of one")


class Invoice(BaseModel):
    """What is to be paid, and by whom."""

    customer: str = Field(examples=["ACME"])
    currency: Literal["EUR", "USD", "CNY"] = "EUR"
    lines: list[Line] = Field(min_length=1)


@tool(idempotent=True)
def price_of(item: Item) -> float:
    """The price of one item, in EUR.

    Args:
        item: what is sold
    """
    return PRICES[item]


agent = create_react_agent(
    name="invoices",
    description="Writes invoices that a program can read",
    examples=["An invoice for ACME: one chair"],
    system_prompt="Turn what the user says into an invoice. Look up the prices that are not named.",
    tools=[price_of],
    output=Invoice,
)
