"""The other agent of the house; see cook.py. 另一个 Agent，见 cook.py。

Say "Do you have Moby Dick?" to it. 试着对它说 “Do you have Moby Dick?”。
"""

from typing import Literal

from house import signed

from myagent import create_react_agent, tool

SHELVES = {"Moby Dick": 3, "Walden": 7}


@tool
async def find_book(title: Literal["Moby Dick", "Walden"]) -> str:
    """Finds the shelf of a book.

    Args:
        title: of the book
    """
    return signed(f"{title} is on shelf {SHELVES[title]}.", "the librarian")


agent = create_react_agent(
    name="librarian",
    description="Knows where the books are",
    tools=[find_book],
    system_prompt="You are the librarian of the house. Speak of books only.",
)
