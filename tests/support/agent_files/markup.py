"""A traced agent whose tools say markup, and one of which asks first; their examples are for the demo model."""

from myagent import BaseTool, ToolResult, create_react_agent

EVIL = "</pre></details><script>alert('tool')</script><img src=x onerror=\"alert('tool')\">"
EVIL += "[a](javascript:alert('tool')) ![b](https://evil.example/c.png)"


class Fetch(BaseTool):
    name = "fetch_page"
    description = f"Gets a page {EVIL}"
    parameters = {
        "type": "object",
        "properties": {"site": {"type": "string", "examples": ["example.org"]}},
        "required": ["site"],
    }

    async def execute(self, site: str) -> ToolResult:
        return ToolResult(output=f"{site}: {EVIL}")


class Pay(BaseTool):
    name = "pay"
    description = "Pays"
    requires_confirmation = True
    parameters = {
        "type": "object",
        "properties": {"whom": {"type": "string", "examples": ["Bob"]}},
        "required": ["whom"],
    }

    async def execute(self, whom: str) -> ToolResult:
        raise RuntimeError(EVIL)


agent = create_react_agent(name="markup", tools=[Fetch(), Pay()], description=EVIL, enable_tracing=True)
