"""The log of a run as what a call of a tool returns: its answer, or how far it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from myagent.i18n import gettext as _
from sessions_app.web.mcp_door.elicitation import input_request, words_of
from sessions_app.web.mcp_door.tool_names import WAIT

Frame = dict[str, Any]
Result = dict[str, Any]


class RunResult:
    """Takes the frames of a run in order, from its beginning or from where it stands; `Telling` of `run_stream.py`.

    What it tells meanwhile is the progress. With `waits_out`, a question is no end: somebody may answer it elsewhere.
    """

    def __init__(self, session_id: str, run_id: str, *, tool: str, waits_out: bool = False) -> None:
        self.session_id = session_id
        self.run_id = run_id
        self.waits_out = waits_out
        self.last_seq = 0
        """Of the last event that was taken."""
        self.questions: dict[str, Frame] = {}
        """The open ones, by their ids."""
        self._tool = tool
        self._end: Frame | None = None
        self._calls: set[str] = set()
        """Those that have no result yet."""

    def take(self, frame: Frame) -> list[dict[str, Any]]:
        """The progress that an event is."""
        self.last_seq = max(self.last_seq, frame.get("seq", 0))
        name, about = frame["event"], frame["metadata"]
        match name:
            case "agent.thinking" if not about.get("reasoning"):
                return [_progress(frame["content"] or _("Step %(step)d") % {"step": about["step"]})]
            case "agent.tool_call":
                self._calls.add(frame["step_id"])
                return [_progress(frame["content"])]
            case "agent.tool_progress":
                percent = about.get("percent")
                share = "" if percent is None else f" ({percent:.0f} %)"
                return [_progress(f"{about['tool']}: {frame['content']}{share}")]
            case "agent.tool_result":
                self._returned(frame["step_id"])
                return [_progress(f"{about['tool']}: {about['status']}")]
            case "agent.user_confirm":
                self.questions[frame["step_id"]] = frame
            case "user.response":
                self.questions.pop(frame["step_id"], None)
            case "agent.final_answer" | "agent.interrupted" | "agent.error":
                self._end = frame
                self.questions.clear()
        return []

    def _returned(self, call: str) -> None:
        self._calls.discard(call)
        # A question whose time is up has no answer in the log; its call has a result.
        self.questions = {key: asked for key, asked in self.questions.items() if _call_of(asked) != call}

    # --- Telling ---

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._end is not None

    @property
    def may_ask_more(self) -> bool:
        """Whether it asks, and there are calls that neither ask nor have a result."""
        asking = {_call_of(asked) for asked in self.questions.values()}
        return bool(asking) and not self._calls <= asking

    def interrupted(self) -> list[dict[str, Any]]:
        """The end of the answer that open questions are."""
        return [] if self.waits_out else [{"asks": step_id} for step_id in self.questions]

    # --- what is returned ---

    @property
    def status(self) -> str:
        """How far it is, in the words of the Tasks extension but for `running`."""
        if self._end is None:
            return "input_required" if self.questions else "running"
        ends = {"agent.final_answer": "completed", "agent.interrupted": "cancelled", "agent.error": "failed"}
        return ends[self._end["event"]]

    def input_requests(self) -> dict[str, Any]:
        """The open questions as forms, by their ids."""
        return {step_id: input_request(frame) for step_id, frame in self.questions.items()}

    def asking(self) -> Result:
        """The result by which a client asks a person, and then calls the tool once more."""
        requests = self.input_requests()
        return {"resultType": "input_required", "inputRequests": requests, "requestState": self.run_id}

    def returned(self) -> Result:
        """The result of the call."""
        if self._end is None:
            return self._unfinished()
        content, about = self._end["content"], self._end["metadata"]
        match self._end["event"]:
            case "agent.final_answer":
                kept = {key: about[key] for key in ("output", "finish", "limit", "usage") if about.get(key) is not None}
                return self._result([content, self._how_to_go_on()], {"answer": content, **kept})
            case "agent.interrupted":
                words = _("The answer was cancelled: %(reason)s") % {"reason": content or about["reason"]}
                kept = {"code": "interrupted", "reason": about["reason"], "message": words}
                return self._result([words, self._how_to_go_on()], kept, is_error=True)
            case _:
                kept = {key: value for key, value in about.items() if key != "run_id"} | {"message": content}
                words = f"{content} ({about['code']})"
                return self._result([words, self._how_to_go_on()], kept, is_error=True)

    def _unfinished(self) -> Result:
        wait = {"tool": WAIT, "session": self.session_id, "run": self.run_id}
        words = _("To get the answer, call %(tool)s with session_id %(session)s and run_id %(run)s.") % wait
        if not self.questions:
            return self._result([_("The agent is still working."), words], {})
        asked = [
            {"step_id": key, "content": frame["content"], **_without_run(frame["metadata"])}
            for key, frame in self.questions.items()
        ]
        path = f"/api/sessions/{self.session_id}/confirmations/"
        where = _(
            "The agent waits until a person decides this: on the chat page, or by POST %(path)s<step_id>. "
            "It is not for a model to decide."
        ) % {"path": path}
        return self._result([*map(words_of, self.questions.values()), where, words], {"confirmations": asked})

    def _how_to_go_on(self) -> str:
        words = _("To go on with this conversation, call %(tool)s with session_id %(session)s.")
        return words % {"tool": self._tool, "session": self.session_id}

    def _result(self, texts: list[str], facts: Mapping[str, Any], *, is_error: bool = False) -> Result:
        structured = {"session_id": self.session_id, "run_id": self.run_id, "status": self.status, **facts}
        content = [{"type": "text", "text": text} for text in texts]
        return {"resultType": "complete", "content": content, "structuredContent": structured, "isError": is_error}


def refused(code: str, words: str, details: Mapping[str, Any]) -> Result:
    """The result of a call that is refused: the model reads it, and may do better."""
    structured = {**details, "code": code, "message": words}
    return {
        "resultType": "complete",
        "content": [{"type": "text", "text": f"{words} ({code})"}],
        "structuredContent": structured,
        "isError": True,
    }


def _progress(words: str) -> dict[str, Any]:
    return {"progress": words}


def _call_of(asked: Frame) -> str:
    return str(asked["metadata"]["call_step_id"])


def _without_run(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != "run_id"}
