"""Pages of a running server as pictures (PNG), with the system's Chromium."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.docs.pictures.scenes import Scene

LARGEST = 150 * 1024
"""Bytes of one picture."""
COLOURS = 160


class Photographer:
    """Goes through the pages of one server as the user `local`."""

    def __init__(self, browser: Browser, scene: Scene, root: str, folder: Path) -> None:
        self._scene = scene
        self._root = root
        self._folder = folder
        self._context = browser.new_context(
            locale=scene.locale, color_scheme="light", viewport={"width": 1120, "height": 700}, device_scale_factor=1
        )
        self._page = self._context.new_page()

    def log_in(self, password: str) -> None:
        """Open the admin."""
        self._page.goto(f"{self._root}/admin/login/")
        self._page.fill("#id_username", "local")
        self._page.fill("#id_password", password)
        self._page.click("[type=submit]")
        self._page.wait_for_url("**/admin/")
        # Its list of everything takes a third of the width.
        self._page.evaluate("localStorage.setItem('django.admin.navSidebarIsOpen', 'false')")

    def chat(self) -> None:
        """The page to chat on, with an answer and a question that waits for a yes."""
        page = self._page
        page.set_viewport_size({"width": 1120, "height": 960})
        page.goto(f"{self._root}/")
        page.locator("[data-link=open]").wait_for()
        words = page.locator(".composer textarea")
        for said, seen in ((self._scene.question, ".costs"), (self._scene.order, ".question .yes")):
            words.fill(said)
            words.press("Enter")
            page.locator(seen).first.wait_for()
        words.blur()
        page.locator(".scroller").evaluate("log => log.scrollTo(0, 0)")
        self._take("page")

    def conversation(self, session_id: str) -> None:
        """A conversation in the admin, with the timeline of its first run open."""
        page = self._page
        page.goto(f"{self._root}/admin/sessions_app/session/{session_id}/change/")
        page.evaluate("""() => {
            for (const kind of ['timeline', 'called']) document.querySelector(`details.${kind}`).open = true;
            document.querySelector('.said').parentElement.scrollIntoView();
        }""")
        self._take("conversation", height=860)

    def sessions(self) -> None:
        """The list of conversations in the admin."""
        self._page.goto(f"{self._root}/admin/sessions_app/session/")
        self._take("sessions", height=620)

    def close(self) -> None:
        self._context.close()

    def _take(self, name: str, *, height: int | None = None) -> None:
        page: Page = self._page
        if height is not None:
            page.set_viewport_size({"width": 1120, "height": height})
        page.mouse.move(0, 0)
        picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
        file = self._folder / f"{name}.{self._scene.name}.png"
        # Pages have few colours, and a palette of them is a third of the size: of all that there are, since it is the
        # rare ones that mean something.
        palette = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        palette.save(file, optimize=True)
        assert file.stat().st_size <= LARGEST, f"{file} has {file.stat().st_size} bytes"
