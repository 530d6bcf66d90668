"""What the pictures show, in each language: an agent, and what people say to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

AGENT_FILE = "travel_desk.py"
SECOND_AGENT_FILE = "phrase_book.py"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One language. `question` and `order` are what the pictures show; the others make the list of conversations.

    `order` asks for a tool that a person has to confirm. `weather` and `booking` are the calls that a scripted model
    makes of them, `titles` those of older conversations, `file` and `refused` the names of a file that is taken and of
    one that is empty.
    """

    name: str
    language: str
    locale: str
    question: str
    order: str
    others: tuple[tuple[str, str], ...]
    waiting: str
    weather: dict[str, str]
    booking: dict[str, str]
    thought: str
    begun: str
    refusal: str
    titles: tuple[str, ...]
    file: str
    refused: str

    @property
    def answer(self) -> str:
        """A long answer with everything that Markdown has."""
        return (self.folder / "answer.txt").read_text(encoding="utf-8")

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
        weather={"city": "Lisbon"},
        booking={"hotel": "Harbour House"},
        thought="Two cities are asked for. I look up both, and compare them.",
        begun="It is **sunny** in Lisbon, 24 °C, and it stays so until Friday. Take something against the sun",
        refusal="The model is overloaded.",
        titles=(
            "Trains from Oslo to Bergen",
            "A quiet hotel near the harbour with breakfast, for two people and a dog",
            "Vegetarian restaurants in Kyoto",
            "Is the museum open on Monday?",
        ),
        file="itinerary of the journey to Lisbon in spring.txt",
        refused="notes.txt",
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
        weather={"city": "北京"},
        booking={"hotel": "海湾酒店"},
        thought="问了两个城市，两个都查一下，再作比较。",
        begun="北京**晴**，24 °C，到周五都是这样。请注意防晒",
        refusal="模型过载。",
        titles=(
            "去成都的火车",
            "海边安静的酒店，含早餐，两个人带一只狗，最好离地铁站近一点",
            "杭州的素食餐厅",
            "博物馆周一开门吗？",
        ),
        file="春天去北京旅行的详细行程安排和注意事项.txt",
        refused="便条.txt",
    ),
)
