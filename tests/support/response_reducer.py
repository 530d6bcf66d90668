"""A client of OpenAI's Responses API that is as strict as the strictest one, and says what it holds."""

from __future__ import annotations

from typing import Any

ENDS = ("response.completed", "response.incomplete", "response.failed")


class ResponseReducer:
    """Takes events in their order. One that resumes keeps what it has, and what follows has to fit."""

    def __init__(self) -> None:
        self.items: dict[int, dict[str, Any]] = {}
        self.deltas: dict[int, str] = {}
        """The joined deltas of each item."""
        self.response: dict[str, Any] | None = None
        self.is_over = False
        self.last_number = -1

    def take(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            assert not self.is_over, event
            assert event["sequence_number"] > self.last_number, event
            self.last_number = event["sequence_number"]
            self._one(event, event["type"])

    def _one(self, event: dict[str, Any], kind: str) -> None:
        index = event.get("output_index")
        if "response" in event:
            assert kind == "response.created" or self.response is not None
            assert self.response is None or self.response["id"] == event["response"]["id"]
            self.response = event["response"]
            self.is_over = kind in ENDS
            if kind == "response.completed":
                left = {item["id"] for item in self.response["output"]}
                assert all(item["is_done"] or item["id"] in left for item in self.items.values()), "unfinished items"
        elif kind == "response.output_item.added":
            assert index == len(self.items), event
            assert event["item"].get("arguments", "") == "" or event["item"]["type"] != "mcp_call", "deltas bring them"
            self.items[index] = {**event["item"], "is_done": False, "parts": 0}
        elif kind == "response.output_item.done":
            assert self.items[index]["id"] == event["item"]["id"] and not self.items[index]["is_done"]
            assert self.items[index].get("arguments") == event["item"].get("arguments"), event
            self.items[index] = {**event["item"], "is_done": True}
        else:
            item = self.items[index]
            assert item["id"] == event["item_id"] and not item["is_done"], event
            if kind == "response.content_part.added":
                item["parts"] += 1
                assert item["parts"] == 1
            if kind == "response.mcp_call_arguments.delta":
                item["arguments"] += event["delta"]
            elif kind == "response.mcp_call_arguments.done":
                assert item["arguments"] == event["arguments"], event
            elif kind.endswith(".delta"):
                assert item["parts"] == 1, "no part is open"
                self.deltas[index] = self.deltas.get(index, "") + event["delta"]

    @property
    def settled(self) -> dict[str, Any] | None:
        """The response as it is told to whoever has not seen calls begin that have no result yet."""
        if not self.is_over or self.response is None:
            return self.response
        is_going = self.response.get("myagent", {}).get("finish") == "confirmation"
        kept = [item for item in self.response["output"] if not (is_going and item.get("status") == "in_progress")]
        return {**self.response, "output": kept}

    @property
    def text(self) -> str:
        """The text of the response when it is over."""
        parts = (part for item in self.response["output"] if item["type"] == "message" for part in item["content"])
        return "".join(part.get("text", "") for part in parts)
