"""One response as a client sees it: frames of the log of its run in, events of OpenAI's Responses API out. Pure.

Each event has the number of the logged one that it is made of, times 16, plus a place that its kind always has: so it
has the same number at each reading, whatever else is told by the same one, and also when the pieces of an answer were
deleted because the answer as a whole is in the log.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import orjson

from sessions_app.web.openai_door.responses import output_items as items
from sessions_app.web.openai_door.responses.open_text import OpenText, Told
from sessions_app.web.openai_door.responses.response_ids import number_of, place_of, question_id, seq_of
from sessions_app.web.openai_door.responses.response_object import ResponseHead, ResponseProgress
from sessions_app.web.openai_door.responses.run_parts import RunParts

Event = dict[str, Any]
Frame = dict[str, Any]
CREATED, STARTED = 0, 1
CLOSE_REASONING, CLOSE_TEXT = 2, 8
OPEN_TEXT = RESULT = 5
"""Where a text goes on: none does with the result of a call."""
OWN = ASK_AGAIN = 11
"""Where that begins which is not about text: four places. What asks itself, asks nothing else again."""
END = 15
_PLACE = itemgetter(0)


class RunResponse:
    """One part of a run. It takes all events of the run, from the first one on, until the part is over.

    `known` is the number up to which the client has been told: only what follows is told again.
    """

    may_ask_more = False

    def __init__(self, head: ResponseHead, *, known: int = -1) -> None:
        self.head = head
        self.run_id = str(head.id.run_id)
        self.parts = RunParts()
        self.output = items.Output()
        self.input: list[items.Item] = []
        self.progress = ResponseProgress()
        self.is_over = False
        self._known = known
        self._last_seq = 0
        """Of the events that something was made of."""
        self._text: OpenText | None = None
        self._reasoning: OpenText | None = None
        self._attempt: list[int] = []
        """The items of the step, as long as they can become void."""
        self._calls: dict[str, items.Item] = {}
        """All of the run, as they began, by their `step_id`."""
        self._places: dict[str, int] = {}
        """Where those are that the output has."""

    @property
    def exists(self) -> bool:
        """Whether the run has come so far."""
        return bool(self.progress.created_at) and self.head.id.part <= self.parts.begun

    def interrupted(self) -> list[Event]:
        """Nothing: questions are told as they are logged."""
        return []

    def take(self, frame: Frame) -> list[Event]:
        """What a client is told of a logged event of this run."""
        self._remember(frame)
        placed = self.parts.take(frame)
        if placed.part != self.head.id.part or self.is_over:
            return []
        told = self._begun(frame)
        teller = _TELLERS.get(frame["event"])
        if teller is not None:
            told += teller(self, frame)
        if placed.is_end:
            told += self._asked(frame) if self.parts.open else []
            self.is_over = True
        seq = frame["seq"]
        if told:
            self._last_seq = seq
        numbered = ({**event, "sequence_number": number_of(seq, place)} for place, event in sorted(told, key=_PLACE))
        return [event for event in numbered if event["sequence_number"] > self._known]

    def _remember(self, frame: Frame) -> None:
        """What a later part may have to tell of a call that this event is about."""
        if frame["event"] == "agent.tool_call":
            self._calls[frame["step_id"]] = items.call_of(frame)
        elif frame["event"] == "agent.user_confirm" and (call := self._calls.get(frame["metadata"]["call_step_id"])):
            call["approval_request_id"] = question_id(frame["step_id"])

    def gone(self, words: str, code: str) -> list[Event]:
        """The end where the session was deleted: the last thing that is told, and not logged."""
        number = max(number_of(self._last_seq, END), self._known) + 1
        self.progress.fail(words, code)
        self.is_over = True
        return [{"type": "response.failed", "response": self.told(), "sequence_number": number}]

    def told(self) -> dict[str, Any]:
        """The response as it stands."""
        for text in (self._reasoning, self._text):
            if text is not None:
                text.settle()
        return self.head.response(self.progress, self.output.valid)

    # --- how it begins and ends ---

    def _begun(self, frame: Frame) -> Told:
        told: Told = []
        if not self.progress.created_at:
            self.progress.begin(frame)
            told.append((CREATED, self._lifecycle("created")))
            if self.progress.status == "queued":
                told.append((STARTED, self._lifecycle("queued")))
        elif self.progress.status == "queued":
            self.progress.status = "in_progress"
        else:
            return []
        if self.progress.status == "in_progress":
            told.append((STARTED, self._lifecycle("in_progress")))
        return told

    def _lifecycle(self, kind: str) -> Event:
        return {"type": f"response.{kind}", "response": self.told()}

    def _asked(self, frame: Frame) -> Told:
        """The end that questions are. One of them at least is told, if it has to be one that was told before.

        Calls that have no result are left to the next part: in a response that is over they would seem to have run.
        Whoever was told that they began is told at the end that they are in progress.
        """
        told: Told = []
        if not any(item["type"] == "mcp_approval_request" for item in self.output.all):
            told = self._whole(items.question_of(next(iter(self.parts.open.values()))), ASK_AGAIN)
        self.progress.finish("completed", {"finish": "confirmation"}, frame=frame)
        end = self._lifecycle("completed")
        self.output.void.update(at for at in self._places.values() if self.output.all[at]["status"] == "in_progress")
        return [*told, (END, end)]

    # --- what is said ---

    def _user_said(self, frame: Frame) -> Told:
        self.input.append(items.said_by_user(frame))
        return []

    def _heard(self, frame: Frame) -> Told:
        self.input.append(items.answer_of(frame))
        return []

    def _thinking(self, frame: Frame) -> Told:
        if frame["metadata"].get("reasoning"):
            return self._reason(frame["content"])
        told = self._closed()
        self._attempt = []
        return told

    def _reason(self, delta: str) -> Told:
        told: Told = []
        if self._reasoning is None:
            self._reasoning = self._opened(items.reasoning, "rs", items.REASONING)
            told = self._reasoning.added(OWN)
        return told + self._reasoning.more(delta, OWN + 2)

    def _answered_in_part(self, frame: Frame) -> Told:
        return [] if self.head.is_value else self._say(frame["content"])

    def _say(self, delta: str, kind: str = items.TEXT) -> Told:
        if not delta:
            return []
        told = self._closed_reasoning()
        if self._text is None:
            self._text = self._opened(items.message, "msg", kind)
            told += self._text.added(OPEN_TEXT)
        return told + self._text.more(delta, OPEN_TEXT + 2)

    def _opened(self, make: Any, prefix: str, kind: str) -> OpenText:
        number = len(self.output.all)
        item = make(f"{prefix}_{self.run_id}_{self.head.id.part}_{number}")
        self._attempt.append(self.output.add(item))
        return OpenText(item, number, kind)

    def _void(self, frame: Frame) -> Told:
        told: Told = []
        for text, place in ((self._reasoning, CLOSE_REASONING), (self._text, CLOSE_TEXT)):
            told += text.cut(place + 2) if text is not None else []
        self._text = self._reasoning = None
        self.output.void.update(self._attempt)
        self._attempt = []
        return told

    def _closed_reasoning(self, status: str = "completed") -> Told:
        text, self._reasoning = self._reasoning, None
        return text.closed(CLOSE_REASONING, status) if text is not None else []

    def _closed(self, status: str = "completed", phase: str = "commentary", words: str | None = None) -> Told:
        told = self._closed_reasoning(status)
        text, self._text = self._text, None
        return told + (text.closed(CLOSE_TEXT, status, phase, words) if text is not None else [])

    # --- what is done ---

    def _called(self, frame: Frame) -> Told:
        told = self._closed()
        self._attempt = []
        item = self._calls[frame["step_id"]]
        index = self._places[frame["step_id"]] = self.output.add(dict(item))
        return [*told, *items.begun_call(item, index, OWN)]

    def _returned(self, frame: Frame) -> Told:
        step_id, told = frame["step_id"], list[tuple[int, Event]]()
        index = self._places.get(step_id)
        if index is None:
            if step_id not in self._calls:
                return []
            # It was called in an earlier part of the run.
            item = self._calls[step_id]
            index = self.output.add(dict(item))
            told = items.begun_call(item, index, RESULT)
        whole = self.output.all[index]
        whole |= items.outcome_of(frame)
        kind = "completed" if whole["status"] == "completed" else "failed"
        return [
            *told,
            (RESULT + 4, {"type": f"response.mcp_call.{kind}", "item_id": whole["id"], "output_index": index}),
            (RESULT + 5, {"type": "response.output_item.done", "output_index": index, "item": dict(whole)}),
        ]

    def _questioned(self, frame: Frame) -> Told:
        return [*self._closed(), *self._whole(items.question_of(frame), OWN)]

    def _whole(self, item: items.Item, place: int) -> Told:
        index = self.output.add(item)
        kinds = ("added", "done")
        return [
            (place + number, {"type": f"response.output_item.{kind}", "output_index": index, "item": item})
            for number, kind in enumerate(kinds)
        ]

    # --- how the run ends ---

    def _finished(self, frame: Frame) -> Told:
        about, answer, kind = frame["metadata"], frame["content"], items.TEXT
        if self.head.is_value and about.get("output") is not None:
            answer = orjson.dumps(about["output"]).decode()
        elif self.head.is_value:
            kind = items.REFUSAL
        told = self._answer(answer, kind)
        told += self._closed(phase="final_answer", words=answer)
        is_whole = about["finish"] != "length"
        facts = {key: about[key] for key in ("finish", "limit", "output") if key in about}
        self.progress.finish("completed" if is_whole else "incomplete", facts, usage=about["usage"], frame=frame)
        return [*told, (END, self._lifecycle(self.progress.status))]

    def _answer(self, answer: str, kind: str) -> Told:
        """What the client lacks of the answer."""
        if self._last_seq < seq_of(self._known):
            # It has pieces that are deleted, nobody knows how long. What was told with the first of them, and is told
            # with the answer now, it has up to the place where it was cut off; of a delta it has no use.
            told = self._say(answer, kind) if self._text is None else []
            return [(place, event) for place, event in told if place > place_of(self._known)]
        shown = self._text.words if self._text is not None else ""
        return self._say(answer[len(shown) :], kind) if answer.startswith(shown) else []

    def _cancelled(self, frame: Frame) -> Told:
        told = self._closed("incomplete")
        self.progress.finish("cancelled", {"finish": "interrupted", "reason": frame["metadata"]["reason"]})
        return [*told, (END, self._lifecycle("incomplete"))]

    def _failed(self, frame: Frame) -> Told:
        told = self._closed("incomplete")
        self.progress.fail(frame["content"], frame["metadata"]["code"])
        return [*told, (END, self._lifecycle("failed"))]


_TELLERS = {
    "user.message": RunResponse._user_said,
    "user.response": RunResponse._heard,
    "agent.thinking": RunResponse._thinking,
    "agent.partial_answer": RunResponse._answered_in_part,
    "agent.step_reset": RunResponse._void,
    "agent.tool_call": RunResponse._called,
    "agent.tool_result": RunResponse._returned,
    "agent.user_confirm": RunResponse._questioned,
    "agent.final_answer": RunResponse._finished,
    "agent.interrupted": RunResponse._cancelled,
    "agent.error": RunResponse._failed,
}
