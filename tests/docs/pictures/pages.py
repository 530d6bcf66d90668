"""Pages of a running server as pictures (PNG), with the system's Chromium."""

from __future__ import annotations

import io
import math
from collections import Counter
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.docs.pictures.scenes import Scene

LARGEST = 150 * 1024
"""Bytes of one picture."""
COLOURS = 256
RARE = 56
"""Of these, for what is neither frequent nor near to what is: it is the small marks that mean something."""


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
        reduced(picture).save(file, optimize=True)
        assert file.stat().st_size <= LARGEST, f"{file} has {file.stat().st_size} bytes"


def reduced(picture: Image.Image) -> Image.Image:
    """With a palette: a page has few colours, and this is a third of the size. Those of large areas stay exact."""
    colours = _colours(picture)
    counts = Counter(colours)
    few = iter(picture.quantize(RARE, Image.Quantize.MAXCOVERAGE).getpalette() or [])
    palette = [colour for colour, _count in counts.most_common(COLOURS - RARE)]
    palette += list(zip(few, few, few, strict=False))[:RARE]
    nearest = {colour: min(range(len(palette)), key=lambda at: math.dist(palette[at], colour)) for colour in counts}
    # Pillow's own way to a given palette is an approximate one, which turns white into nearly white.
    made = Image.frombytes("P", picture.size, bytes(map(nearest.__getitem__, colours)))
    made.putpalette([level for colour in palette for level in colour])
    return made


def _colours(picture: Image.Image) -> list[tuple[int, int, int]]:
    levels = iter(picture.tobytes())
    return list(zip(levels, levels, levels, strict=True))
