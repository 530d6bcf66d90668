"""What the pictures show, in each language: an agent, and what people say to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

AGENT_FILE = "travel_desk.py"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One language. `question` and `order` are what the pictures show; the others make the list of conversations.

    `order` asks for a tool that a person has to confirm.
    """

    name: str
    language: str
    locale: str
    question: str
    order: str
    others: tuple[tuple[str, str], ...]
    waiting: str

    @property
    def folder(self) -> Path:
        """Where the agent file of this language is."""
        return _FOLDER / self.name


SCENES = (
    Scene(
        name="en",
        language="en",
        locale="en-US",
        question="What is the weather like in Lisbon and in Oslo?",
        order="Please book a room at Harbour House",
        others=(
            ("ada", "How cold is it in Oslo?"),
            ("ada", "Does it rain in Kyoto?"),
            ("grace", "What can you do?"),
            ("local", "Lisbon or Kyoto?"),
        ),
        waiting="Book a room at Hotel Aurora",
    ),
    Scene(
        name="zh",
        language="zh-hans",
        locale="zh-CN",
        question="北京和上海的天气怎么样？",
        order="请预订海湾酒店的房间",
        others=(
            ("ada", "成都冷不冷？"),
            ("ada", "上海下雨吗？"),
            ("grace", "你能做什么？"),
            ("local", "去北京还是去成都？"),
        ),
        waiting="预订西湖客栈",
    ),
)
