"""The pictures of the documentation: they are there, small, ask nobody for anything, and show what was there."""

from __future__ import annotations

import os
import re
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from tests.docs.pictures.scenes import AGENT_FILE, SCENES
from tests.docs.pictures.screen import Replacements, draw
from tests.myagent.cli.test_main import run
from tests.support.paths import ROOT
from tests.support.terminal import Terminal

IMAGES = sorted((ROOT / "docs" / "images").iterdir())
LARGEST = 150 * 1024


def test_every_picture_is_shown_and_every_shown_picture_is_there():
    for scene in SCENES:
        page = (ROOT / ("README.md" if scene.name == "en" else "README.zh.md")).read_text(encoding="utf-8")
        shown = set(re.findall(r"!\[[^\]]+\]\(docs/images/([^)]+)\)", page))
        assert shown == {image.name for image in IMAGES if f".{scene.name}." in image.name}


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_a_picture_is_small_and_asks_nobody(image):
    assert image.stat().st_size <= LARGEST
    if image.suffix == ".svg":
        text = image.read_text(encoding="utf-8")
        ElementTree.fromstring(text)
        assert "http" not in re.sub(r'xmlns="[^"]+"|>[^<]*<', "", text), "it would load something"
        assert not re.search(r"mya_(?!x)\w|/tmp|/home|/root|\.venv", text), "it shows what is of one machine"


@pytest.fixture
def terminal(tmp_path):
    show = r"print('first'); print('\x1b[1;31mred\x1b[0m \x1b[2mdim\x1b[0m 中文 secret-123'); input()"
    with Terminal([sys.executable, "-c", show], folder=tmp_path, environment=os.environ, columns=40, rows=5) as shown:
        shown.wait("secret")
        yield shown


def test_a_terminal_is_drawn(terminal):
    hidden = Replacements((r"secret-\d+", "········"))
    picture = draw(terminal, title="a title", name="x", replacements=hidden, first="red")
    root = ElementTree.fromstring(picture)
    texts = [element for element in root.iter() if element.tag.endswith("text")]
    assert [element.text for element in texts if "title" in element.get("class", "")] == ["a\xa0title"]
    shown = "".join(element.text or "" for element in texts)
    assert "first" not in shown and "secret" not in shown
    assert "red" in shown and "········" in shown
    widths = {element.text: float(element.get("textLength", 0)) for element in texts}
    assert widths["中文"] == pytest.approx(widths["red"] / 3 * 4), "two columns for each"
    assert "bold" in picture


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_the_agents_of_the_pictures_are_in_order(scene, tmp_path):
    """Without the minute that the pictures themselves take."""
    told = run(
        [sys.executable, "-m", "myagent.cli.main", "check", str(scene.folder / AGENT_FILE), "--strict"], tmp_path
    )
    assert told.returncode == 0, told.stdout
