"""What the tests of the chat page share."""

from tests.support.chat_tab import browser, tab

__all__ = ["browser", "tab"]
