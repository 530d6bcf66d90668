"""The log of a run as what OpenAI's Chat Completions can tell of it: texts that only grow, and an end. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode

Frame = dict[str, Any]
Delta = dict[str, str]
BREAK = "\n\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEnding:
    """How the run ends for this client. `content` is the answer as a whole, which replaces what was shown."""

    kind: Literal["answer", "question", "interrupted", "error"]
    content: str = ""
    finish_reason: Literal["stop", "length"] = "stop"
    refusal: str | None = None
    """In place of the content where the answer should have been a value, and is none."""
    usage: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """What Chat Completions have no word for."""
    code: str = ""
    """Of an error, whose words are the content."""


class RunText:
    """Takes the frames of a session's log, in order, from the beginning of a run at the latest, until `ending` is set.

    A stream of OpenAI's cannot take text back. Text that became void stays, and a line says so before the text that
    replaces it; where the joined deltas are not just the answer, the facts of the ending have it once more. Of an
    answer that has to be a value (`as_value`) nothing is told before it is whole, so that the deltas are always its
    JSON.
    """

    def __init__(self, run_id: str, *, as_value: bool = False) -> None:
        self.ending: RunEnding | None = None
        self.content = ""
        """All deltas of the answer, joined."""
        self.reasoning = ""
        self._run_id = run_id
        self._as_value = as_value
        self._step = ""
        """The text of this step that was shown."""
        self._is_live = False
        self._open: dict[str, Frame] = {}
        """Questions of the run, by their id, that were read from the log and may have been answered since."""
        self._void_words = _("The text above is void. The answer begins once more:")
        self._elsewhere_words = _(
            "This question is answered on the chat page, or by the server's own API. Until then the agent waits."
        )

    def concerns(self, frame: str) -> bool:
        """Whether a frame, as it is stored, can tell anything of this run; others need not be parsed."""
        return self._run_id in frame or '"action":"replay"' in frame or '"event":"agent.session_deleted"' in frame

    def take(self, frame: Frame) -> list[Delta]:
        """What a frame adds."""
        if self.ending is not None:
            return []
        metadata = frame["metadata"]
        if frame["event"] == "agent.session_deleted":
            self.ending = RunEnding(kind="error", content=frame["content"], code=ErrorCode.SESSION_NOT_FOUND)
        elif frame["event"] == "system.notice" and metadata.get("action") == "replay":
            self._is_live = True
            return self._ask()
        elif metadata.get("run_id") == self._run_id:
            return self._of_run(frame["event"], frame, metadata)
        return []

    def _of_run(self, event: str, frame: Frame, metadata: dict[str, Any]) -> list[Delta]:
        content = frame["content"]
        match event:
            case "agent.thinking" if metadata.get("reasoning"):
                return self._reason(content)
            case "agent.thinking":
                self._step = ""
            case "agent.partial_answer":
                return self._say(content)
            case "agent.step_reset":
                return self._take_back()
            case "agent.tool_call" | "agent.tool_progress" | "agent.tool_result":
                return self._tell_tool(event, frame, metadata)
            case "agent.user_confirm":
                self._open[frame["step_id"]] = frame
                return self._ask() if self._is_live else []
            case "user.response":
                self._open.pop(frame["step_id"], None)
            case "agent.final_answer":
                return self._answer(content, metadata)
            case "agent.interrupted":
                return self._break_off(content, {"finish": "interrupted", "reason": metadata.get("reason")})
            case "agent.error":
                details = {key: value for key, value in metadata.items() if key not in ("run_id", "code")}
                self.ending = RunEnding(kind="error", content=content, code=metadata["code"], facts=details)
        return []

    # --- texts ---

    def _say(self, text: str) -> list[Delta]:
        if self._as_value or not text:
            self._step += text
            return []
        begins = not self._step and self.content
        self._step += text
        text = BREAK + text if begins else text
        self.content += text
        return [{"content": text}]

    def _reason(self, text: str) -> list[Delta]:
        self.reasoning += text
        return [{"reasoning_content": text}] if text else []

    def _take_back(self) -> list[Delta]:
        shown, self._step = self._step, ""
        if not shown or self._as_value:
            return []
        words = f"{BREAK}*{self._void_words}*"
        self.content += words
        return [{"content": words}]

    def _tell_tool(self, event: str, frame: Frame, metadata: dict[str, Any]) -> list[Delta]:
        """A line among the reasoning. Never `tool_calls`: clients would run these calls themselves, and ask again."""
        words = frame["content"]
        if event == "agent.tool_progress":
            percent = metadata.get("percent")
            words = f"{metadata['tool']}: {words}" + ("" if percent is None else f" ({percent:.0f} %)")
        elif event == "agent.tool_result":
            self._open = {key: asked for key, asked in self._open.items() if not _is_of_call(asked, frame)}
            if metadata["status"] == "success":
                return []
            words = f"{metadata['tool']}: {metadata['status']}"
        at_start = not self.reasoning or self.reasoning.endswith("\n")
        return self._reason(f"{'' if at_start else chr(10)}{words}\n")

    # --- ends ---

    def _ask(self) -> list[Delta]:
        """End with the questions that are open: no client of this API can answer them, but it can show them."""
        if not self._open:
            return []
        words = BREAK.join([*(_question(frame) for frame in self._open.values()), self._elsewhere_words])
        facts = {
            "finish": "confirmation",
            "confirmations": [
                {"step_id": key, "content": frame["content"], **_without_run(frame["metadata"])}
                for key, frame in self._open.items()
            ],
        }
        if self._as_value:
            self.ending = RunEnding(kind="question", refusal=words, facts=facts)
            return [{"refusal": words}]
        whole = f"{self._step}{BREAK}{words}" if self._step else words
        added = BREAK + words if self.content else words
        self.content += added
        self.ending = RunEnding(kind="question", content=whole, facts=facts)
        return [{"content": added}]

    def _answer(self, content: str, metadata: dict[str, Any]) -> list[Delta]:
        facts: dict[str, Any] = {key: metadata[key] for key in ("finish", "limit", "output") if key in metadata}
        if self._as_value and metadata.get("output") is not None:
            content = orjson.dumps(metadata["output"]).decode()
            added = content
        elif self._as_value:
            self.ending = _answered("", facts, metadata, refusal=content)
            return [{"refusal": content}]
        elif content.startswith(self._step):
            added = content[len(self._step) :]
            added = BREAK + added if added and not self._step and self.content else added
        else:
            # Spaces around it make no other answer of it.
            added = "" if content.strip() == self._step.strip() else BREAK + content
        self.content += added
        if self.content != content:
            facts["answer"] = content
        self.ending = _answered(content, facts, metadata)
        return [{"content": added}] if added else []

    def _break_off(self, words: str, facts: dict[str, Any]) -> list[Delta]:
        """End with what was shown. There is no word for that: only the facts tell it from an answer."""
        if self._as_value:
            self.ending = RunEnding(kind="interrupted", refusal=words, facts=facts)
            return [{"refusal": words}]
        self.ending = RunEnding(kind="interrupted", content=self._step, facts=facts)
        return []


def _answered(
    content: str, facts: dict[str, Any], metadata: dict[str, Any], *, refusal: str | None = None
) -> RunEnding:
    return RunEnding(
        kind="answer",
        content=content,
        refusal=refusal,
        finish_reason="length" if metadata.get("finish") == "length" else "stop",
        usage=_usage(metadata["usage"]),
        facts=facts,
    )


def _is_of_call(asked: Frame, result: Frame) -> bool:
    return bool(asked["metadata"].get("call_step_id") == result.get("step_id"))


def _without_run(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != "run_id"}


def _question(frame: Frame) -> str:
    args = frame["metadata"].get("tool_args")
    if not args:
        return str(frame["content"])
    shown = orjson.dumps(args, option=orjson.OPT_INDENT_2).decode()
    return f"{frame['content']}{BREAK}```json\n{shown}\n```"


def _usage(told: dict[str, Any]) -> dict[str, Any]:
    sent, received = told["input_tokens"], told["output_tokens"]
    return {
        "prompt_tokens": sent,
        "completion_tokens": received,
        "total_tokens": sent + received,
        "prompt_tokens_details": {"cached_tokens": told.get("cached_input_tokens", 0)},
        "completion_tokens_details": {"reasoning_tokens": told.get("reasoning_tokens", 0)},
    }
