"""Which point of a session is forked, as it is typed and as it is listed."""

import pytest
from rich.console import Console

from myagent import i18n
from myagent.terminal.fork_choice import ForkChoice, NoSuchMessage, choose, message_lines
from myagent.terminal.said_messages import SaidMessage

MESSAGES = [SaidMessage("m-2", "and in\nRome?\x1b[2J"), SaidMessage("m-1", "Weather in Oslo?")]


@pytest.fixture(autouse=True)
def english():
    i18n.use_language("en")
    yield
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("1", ForkChoice("m-2")),
        (" 2 ", ForkChoice("m-1")),
        ("2 and  in Bern?", ForkChoice("m-1", "and  in Bern?")),
        ("0", ForkChoice(None)),
    ],
)
def test_points(typed, meant):
    assert choose(typed, MESSAGES) == meant


@pytest.mark.parametrize("typed", ["3", "-1", "x", "²", "0 words", "9" * 5_000, ""])
def test_slips(typed):
    with pytest.raises(NoSuchMessage, match="1 is the newest of 2, and 0 takes everything"):
        choose(typed, MESSAGES)


def test_the_list_of_them():
    console = Console(width=40, no_color=True, force_terminal=False)
    with console.capture() as shown:
        console.print(*message_lines(MESSAGES), sep="", end="")
    first, second, last = shown.get().splitlines()
    assert (first, second) == ("  1 and in Rome?[2J", "  2 Weather in Oslo?")
    assert last.startswith("  0 everything up to")
