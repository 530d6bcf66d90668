"""Hooks of mkdocs: pages of the site from files outside of docs/, with links as they are in the repository.

README.md, CONTRIBUTING.md and the like become pages. A linked file that is no page (an example, a module) becomes a
page that shows it. An entry `api/<name>.md` of the navigation becomes the reference of that module or object.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
HOME = {"index.md": "README.md", "index.zh.md": "README.zh.md", "reporting.md": "SECURITY.md"}
"""Pages of the site that have another name in the repository. On some systems SECURITY is security."""
LANGUAGES = {".py": "python", ".html": "html", ".md": "markdown"}
_FENCE = re.compile(r"(^`{3,}.*?^`{3,}$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(?=[)#])")
_MARK = re.compile(r"^<!-- .* -->$", re.MULTILINE)
_ESCAPED_PIPE = re.compile(r"(?<=\w)\\\|(?=\w)")


def slug(heading: str, separator: str) -> str:
    """The anchor of a heading as repository hosts make it, in any language."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def page_of(path: str) -> str:
    """The page of the site for a path in the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    home = {file: page for page, file in HOME.items()}
    return home.get(path) or (path if path.endswith(".md") else f"source/{path}.md")


def path_of(file: File) -> str:
    """The path in the repository of what a page is made from; "" for one that is made here."""
    return Path(file.abs_src_path).relative_to(ROOT).as_posix() if file.abs_src_path else ""


def target_of(path: str, link: str) -> str:
    """The path in the repository that a link on a page leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def prose(markdown: str) -> Iterator[tuple[bool, str]]:
    """The parts of a page, and whether each is text or a fenced block."""
    for number, part in enumerate(_FENCE.split(markdown)):
        yield number % 2 == 0, part


def shown(path: str) -> str:
    """The text of a page that shows a file, or lists a folder."""
    place, head = ROOT / path, f"---\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n"
    if place.is_dir():
        names = sorted(file.relative_to(ROOT).as_posix() for file in place.rglob("*") if is_source(file))
        links = [f"- [{name}]({posixpath.relpath(name, posixpath.dirname(path) or '.')}.md)" for name in names]
        return head + "\n".join(links) + "\n"
    return f"{head}`````{LANGUAGES.get(place.suffix, 'text')}\n{place.read_text(encoding='utf-8')}\n`````\n"


def is_source(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts


def linked(path: str) -> set[str]:
    """What a page links to that is neither a page nor a picture, with the files of folders."""
    text = "".join(part for is_text, part in prose((ROOT / path).read_text(encoding="utf-8")) if is_text)
    targets = {target_of(path, link) for link in _LINK.findall(text)}
    found = {target for target in targets if page_of(target).startswith("source/") and (ROOT / target).exists()}
    for folder in [ROOT / name for name in found if (ROOT / name).is_dir()]:
        found |= {file.relative_to(ROOT).as_posix() for file in folder.rglob("*") if is_source(file)}
    return found


def entries(nav: Any) -> Iterator[str]:
    """The pages that the navigation names."""
    match nav:
        case str():
            yield nav
        case dict():
            yield from entries(list(nav.values()))
        case list():
            for entry in nav:
                yield from entries(entry)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for page in entries(config.nav):
        if page.startswith("api/"):
            files.append(File.generated(config, page, content=f"::: {Path(page).stem}\n"))
        elif files.get_file_from_path(page) is None:
            files.append(File.generated(config, page, abs_src_path=str(ROOT / HOME.get(page, page))))
    pages = filter(None, map(path_of, files.documentation_pages()))
    for path in sorted(set[str]().union(*map(linked, pages))):
        text, level = shown(path), InclusionLevel.NOT_IN_NAV
        files.append(File.generated(config, page_of(path), content=text, inclusion=level))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to pages of the site, and write what the two kinds of Markdown differ in."""
    path = path_of(page.file)
    if not path:
        return markdown

    def lead(match: re.Match[str]) -> str:
        return posixpath.relpath(page_of(target_of(path, match[1])), posixpath.dirname(page.file.src_uri) or ".")

    def adapt(text: str) -> str:
        return _ESCAPED_PIPE.sub("|", _MARK.sub("", _LINK.sub(lead, text)))

    return "".join(adapt(part) if is_text else part for is_text, part in prose(markdown))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    return output.replace('lang="en"', 'lang="zh-Hans"', 1) if page.file.src_uri.endswith(".zh.md") else output
