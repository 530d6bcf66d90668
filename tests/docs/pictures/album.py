"""Pictures of every state of the chat page, to be looked at: wide and on a phone, light and dark, in each language."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.docs.pictures.scenes import SCENES, Scene
from tests.docs.pictures.stage import Stage, served
from tests.docs.pictures.states import STATES
from tests.support.agent_server import AgentServer
from tests.support.browser import browsing
from tests.support.chat_tab import WIDE, chatting, root
from tests.support.model_server import ModelServer
from tests.support.paths import ROOT

ALBUM = ROOT / "build" / "pictures"
SCHEMES = ("light", "dark")
SCREENS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": WIDE},
    "phone": {"viewport": {"width": 390, "height": 760}, "has_touch": True, "is_mobile": True},
}
_PAGE = """<!doctype html><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 1rem sans-serif; }} img {{ height: 32rem; border: 1px solid #888; margin: .25rem; }}</style>
{body}
"""


@dataclass(frozen=True)
class Look:
    """How pictures of a state differ: by the language, by the screen; each is taken light and dark."""

    scene: Scene
    screen: str

    @property
    def name(self) -> str:
        return f"{self.scene.name}.{self.screen}"


def fill(names: Iterable[str] = ()) -> None:
    """Take the pictures of these states, or of all."""
    wanted = [name for name in STATES if name in names] or list(STATES)
    ALBUM.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(len(SCENES)) as pool:
        for _ in pool.map(partial(_fill, wanted), SCENES):
            pass
    _bind(wanted)


def _fill(names: Iterable[str], scene: Scene) -> None:
    with (
        browsing() as browser,
        tempfile.TemporaryDirectory(prefix="album-") as folder,
        ModelServer() as model,
        served(Path(folder), model, scene) as server,
    ):
        for screen in SCREENS:
            look = Look(scene, screen)
            with staged(browser, look, server, model) as stage:
                for name in names:
                    _take(stage, name, look)


@contextmanager
def staged(browser: Browser, look: Look, server: AgentServer, model: ModelServer, **options: Any) -> Iterator[Stage]:
    """A tab of a browser that knows nothing yet."""
    whole = {"locale": look.scene.locale, "reduced_motion": "reduce", **SCREENS[look.screen], **options}
    with chatting(browser, f"{root(server)}login/", **whole) as tab:
        yield Stage(tab, server, model, look.scene)


def _take(stage: Stage, name: str, look: Look) -> None:
    page = stage.tab.page
    stage.model.reset()
    stage.begin()
    with STATES[name](stage):
        page.mouse.move(0, 0)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=ALBUM / f"{name}.{look.name}.{scheme}.png", animations="disabled")


def _bind(names: Iterable[str]) -> None:
    """A page that shows all of them."""
    rows = []
    for name in names:
        pictures = [picture.name for picture in sorted(ALBUM.glob(f"{name}.*.png"))]
        images = "".join(f'<img src="{html.escape(picture)}" title="{html.escape(picture)}">' for picture in pictures)
        rows.append(f"<h2>{html.escape(name)}</h2>{images}")
    (ALBUM / "index.html").write_text(_PAGE.format(title="States", body="\n".join(rows)), encoding="utf-8")
