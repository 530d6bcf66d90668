"""A real browser for tests, and tabs that note whatever should not happen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, sync_playwright

from tests.support.patience import WAIT_SECONDS
from tests.support.services import program

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browsing(*switches: str) -> Iterator[Browser]:
    """The machine's Chromium, without a window."""
    found = program(*BROWSERS)
    args = (*SWITCHES, *switches)
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=found, args=args) as browser:
        yield browser


class Tab:
    """A page of the browser; `trouble` has dialogs, errors of scripts, blocked and failed requests."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.trouble: list[str] = []
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda error: self.trouble.append(f"error {error}"))
        page.on("console", self._console)
        page.on("response", lambda answer: self.trouble.append(answer.url) if answer.status >= 400 else None)

    def _console(self, line: ConsoleMessage) -> None:
        # Without TLS a header has no meaning, which browsers say as an error.
        if line.type == "error" and "Cross-Origin-Opener-Policy" not in line.text:
            self.trouble.append(line.text)

    def _dialog(self, dialog: Dialog) -> None:
        self.trouble.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def open(self, url: str) -> Page:
        """Go there; it has to be there."""
        answer: Any = self.page.goto(url)
        assert answer is None or answer.status == 200, url
        return self.page

    def until(self, expression: str, argument: Any = None) -> None:
        """Wait until JavaScript says yes. It is asked again from here: a page's own polling, as `wait_for_function` has
        it, evaluates text, which the policy of our pages forbids.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.page.evaluate(expression, argument):
            assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {expression}"
            self.page.wait_for_timeout(50)
