"""The one question of a command line, as a source of input."""

from myagent.terminal.input import GaveWay, Input, InputSource, Key, OneQuestion


class Person(InputSource):
    """Answers every question, and notes what was asked."""

    can_answer = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gave_way = 0

    async def line(self, draft: str = "") -> Input:
        raise AssertionError("the command line has said what there is to say")

    async def ask(self, question: str, draft: str = "") -> Input:
        self.asked.append(question)
        return GaveWay(draft)

    def give_way(self) -> None:
        self.gave_way += 1


async def test_one_question_says_one_thing_and_leaves():
    source = OneQuestion("hello")
    assert not source.can_answer
    assert [await source.line(), await source.line(), await source.ask("sure?")] == ["hello", Key.CTRL_D, Key.CTRL_D]
    source.give_way()


async def test_questions_of_tools_go_to_the_person_who_is_there():
    person = Person()
    source = OneQuestion("hello", person)
    assert source.can_answer
    assert await source.ask("sure?", "y") == GaveWay("y")
    source.give_way()
    assert (person.asked, person.gave_way) == (["sure?"], 1)
