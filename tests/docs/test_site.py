"""The documentation as a site: built without a broken link, with every page, loading nothing from other hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import myagent
import myagent.client
import myagent.testing
from tests.support.paths import ROOT
from tests.support.services import module

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    module("mkdocs", extra="docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stderr  # not with --quiet, which would hide warnings from --strict as well
    return folder


class Page(HTMLParser):
    """What a page loads, links to and can be linked to at."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.loads: set[str] = set()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.language = ""
        self.text = file.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "html":
            self.language = given.get("lang", "")
        if "src" in given:
            self.loads.add(given["src"])
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.loads.add(given["href"])
        if tag == "a" and "href" in given:
            self.links.add(given["href"])


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {file: Page(file) for file in site.rglob("*.html") if file.is_file() and file.name != "404.html"}


def leads_to(site: Path, file: Path, link: str) -> tuple[Path, str]:
    """The file that a link on a page leads to, and the place in it."""
    parts = urlsplit(link)
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    assert target.is_relative_to(site.resolve()) or target == file, link
    return target / "index.html" if target.is_dir() else target, unquote(parts.fragment)


def test_every_page_of_the_documentation_is_there(site):
    named = {"README.md": "index.html", "README.zh.md": "index.zh/index.html", "SECURITY.md": "reporting/index.html"}
    for name in [*named, "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]:
        assert (site / named.get(name, f"{name.removesuffix('.md')}/index.html")).is_file(), name
    for file in (ROOT / "docs").glob("*.md"):
        assert (site / file.stem / "index.html").is_file(), file.name


def test_links_lead_somewhere(site, pages):
    """To a file, and to a heading where they name one; also those that the theme makes."""
    for file, page in pages.items():
        for link in page.links | page.loads:
            if urlsplit(link).scheme or urlsplit(link).netloc:
                continue
            target, anchor = leads_to(site, file, link)
            assert target.is_file(), (file, link)
            if anchor and target in pages:
                assert anchor in pages[target].anchors, (file, link)


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for file, page in pages.items():
        assert [link for link in page.loads if urlsplit(link).netloc] == [], file
    for style in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?(?:https?:)?//|@import", style.read_text(encoding="utf-8")) == [], style


def test_a_linked_file_of_the_repository_is_shown(site, pages):
    page = pages[site / "source/examples/pictures.py/index.html"]
    assert "save_caption" in page.text
    assert "../../examples/pictures.py.md" not in page.text
    assert "../source/examples/pictures.py/" in pages[site / "agents/index.html"].links


@pytest.mark.parametrize("package", [myagent, myagent.client, myagent.testing], ids=lambda package: package.__name__)
def test_the_reference_has_every_public_name(site, pages, package: Any):
    """`tool` is a package as well, so that it has a page of its own."""
    page = pages[site / f"api/{package.__name__}/index.html"]
    tool = pages[site / "api/myagent.tool.function_tool.tool/index.html"]
    missing = {name for name in package.__all__ if f"{package.__name__}.{name}" not in page.anchors | tool.anchors}
    assert missing <= {"tool"}
    assert "myagent.tool.function_tool.tool" in tool.anchors


def test_chinese_pages_say_that_they_are_chinese(site, pages):
    languages = {file.relative_to(site).parts[0]: page.language for file, page in pages.items()}
    assert languages["agents"] == languages["api"] == "en"
    assert languages["agents.zh"] == languages["index.zh"] == "zh-Hans"


def test_no_mark_of_a_tested_block_is_left(pages):
    """The comments that say how a block is tested are for tests; in a table a pipe needs no backslash here."""
    for file, page in pages.items():
        if "source" not in file.parts:
            assert "&lt;!-- " not in page.text, file
            assert r"openai\|demo" not in page.text, file
