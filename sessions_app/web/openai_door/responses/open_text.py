"""An item that grows: a message, or reasoning, with the events that tell of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sessions_app.web.openai_door.responses.output_items import TEXT, WORDS, Item, part_of

Told = list[tuple[int, dict[str, Any]]]
"""Events, each with its place among those that are made of the same logged one."""


@dataclass(slots=True)
class OpenText:
    """An item with one part of this kind, which goes on."""

    item: Item
    output_index: int
    kind: str
    pieces: list[str] = field(default_factory=list)
    """Joined only where the whole is told: an answer may come in many thousands."""

    @property
    def words(self) -> str:
        """All pieces."""
        return "".join(self.pieces)

    def settle(self) -> None:
        """Let the item have what there is by now."""
        self.item["content"] = [part_of(self.kind, self.words)] if self.pieces else []

    def added(self, place: int) -> Told:
        """The beginning."""
        begun = {"output_index": self.output_index, "item": dict(self.item)}
        return [
            (place, {"type": "response.output_item.added", **begun}),
            (place + 1, {"type": "response.content_part.added", **self._at, "part": part_of(self.kind, "")}),
        ]

    def more(self, delta: str, place: int) -> Told:
        """Another piece."""
        self.pieces.append(delta)
        return [(place, {"type": f"response.{self.kind}.delta", **self._at, "delta": delta, **self._more})]

    def closed(self, place: int, status: str, phase: str = "", words: str | None = None) -> Told:
        """The end. With `words` these are what it says, whatever the pieces were."""
        words = self.words if words is None else words
        part = part_of(self.kind, words)
        self.item |= {"status": status, "content": [part]}
        if phase and status == "completed":
            self.item["phase"] = phase
        told = {**self._at, WORDS[self.kind]: words, **self._more}
        return [
            (place, {"type": f"response.{self.kind}.done", **told}),
            (place + 1, {"type": "response.content_part.done", **self._at, "part": part}),
            *self._done(place + 2),
        ]

    def cut(self, place: int) -> Told:
        """The end of what is void."""
        self.settle()
        self.item["status"] = "incomplete"
        return self._done(place)

    def _done(self, place: int) -> Told:
        done = {"type": "response.output_item.done", "output_index": self.output_index, "item": dict(self.item)}
        return [(place, done)]

    @property
    def _at(self) -> dict[str, Any]:
        return {"item_id": self.item["id"], "output_index": self.output_index, "content_index": 0}

    @property
    def _more(self) -> dict[str, Any]:
        return {"logprobs": []} if self.kind == TEXT else {}
