"""The tool with which a model ends its run."""

from __future__ import annotations

from typing import Any

from myagent.i18n import gettext as _
from myagent.tool.base_tool import BaseTool, ToolResult


class Terminate(BaseTool):
    """Ends the run; the loop stops after the step that calls it."""

    name = "terminate"
    description = (
        "End the interaction, when the user's request is fulfilled or when you cannot go on. "
        "Call it when all the work is done, and give the final answer to the user as `answer`."
    )
    parameters: dict[str, Any] | None = {
        "type": "object",
        "properties": {
            "status": {"type": "string", "description": "How the work ended.", "enum": ["success", "failure"]},
            "answer": {"type": "string", "description": "The final answer to the user."},
        },
        "required": ["status"],
    }
    idempotent = True

    async def execute(self, status: str, answer: str = "") -> ToolResult:
        if answer:
            return ToolResult(answer)
        return ToolResult(_("The work is done.") if status == "success" else _("The work could not be done."))
