"""An agent whose tools are written with another framework's habits, and return whatever is at hand."""

import base64
import datetime
import functools
import itertools

from pydantic import Field

from myagent import BaseTool, Image, ToolResult, create_react_agent, tool

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class NoDate(datetime.datetime):
    year = month = day = float("nan")  # type: ignore[assignment]


async def _load(part: str) -> str:
    return f"text of {part}"


@tool
def forecast(city: str = Field(..., description="the city"), days: int = Field(2, ge=1, le=5)) -> str:
    return f"{city} {days}"


@tool
def tag(words: list[str] = Field(default_factory=list)) -> str:  # noqa: B008
    words.append("new")
    return f"tags {words}"


@tool
def deliveries() -> list:
    return [{"what": "chairs", "when": datetime.date(2025, 3, 1)}, {"what": "lamps", "when": NoDate(2025, 1, 1)}]


@tool
async def report() -> dict:
    return {"rows": [{"part": "a"}, {"part": _load("b")}]}


@tool
async def count() -> dict:
    return {"numbers": itertools.count()}


@tool
def broken_rows():
    yield "row 0"
    raise KeyError("password of the database")


class Plot(BaseTool):
    name: str = "plot"
    description: str = "Plots a curve"

    async def execute(self, formula: str) -> ToolResult:
        return ToolResult(output=f"plotted {formula}", base64_image=base64.b64encode(DOT).decode())


@tool
def gallery() -> list:
    return ["two dots", Image(DOT), DOT]


async def _fetch(path: str, headers: dict[str, str] | None = None) -> str:
    return f"{path} with {len(headers or {})} header"


fetch = tool(name="fetch", description="Fetches a page")(
    functools.partial(_fetch, headers={"Authorization": "token-7"})
)

agent = create_react_agent(
    name="odd",
    tools=[forecast, tag, deliveries, report, count, broken_rows, Plot(), gallery, fetch],
    system_prompt="You use tools.",
)
