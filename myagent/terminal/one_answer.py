"""One question, one answer: for scripts."""

from __future__ import annotations

import json
from typing import Any

from myagent.terminal.chat import CTRL_C, Chat
from myagent.terminal.input import Key


class OneAnswer(Chat):
    """Ends when the question is answered; the exit code tells whether it was."""

    shows_history = False

    async def listen(self) -> Key | None:
        typed = await self.source.line()
        if isinstance(typed, str):
            self.request(self.say(typed))
        return typed if isinstance(typed, Key) else None

    def finish(self) -> None:
        end = self.transcript.ends.get(self.run_id or "")
        if end is not None and end.event == "agent.final_answer":
            # The value as it is, where the answer is one: a script reads it.
            value = end.output
            self.screen.answer(_text(end.content) if value is None else json.dumps(value, ensure_ascii=False, indent=2))
            self.leave()
        else:
            # What went wrong was printed when it happened.
            self.leave(CTRL_C if self.was_stopped else 1)


def _text(content: Any) -> str:
    return content if isinstance(content, str) else str(content)
