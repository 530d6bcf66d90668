"""The catalogue of translations: `python -m tests.support.catalogue` takes up new texts and compiles it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_python
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

from tests.support.paths import ROOT

PO_FILE = ROOT / "myagent/locale/zh_Hans/LC_MESSAGES/django.po"
MO_FILE = PO_FILE.with_suffix(".mo")
SOURCES = ("myagent", "agents", "sessions_app", "myagent_site")
KEYWORDS: dict[str, object] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
}
WITH_CONTEXT: dict[str, object] = {"pgettext": None, "pgettext_lazy": None}
"""The same English word with several meanings: their first argument tells which."""


def texts() -> Catalog:
    """Every text that is marked for translation, in code and templates."""
    catalogue = Catalog(locale="zh_Hans_CN", project="MyAgent", fuzzy=False)
    for path, code in _python_code():
        for _line, function, text, _comments in extract_python(io.BytesIO(code), KEYWORDS | WITH_CONTEXT, (), {}):
            context, text = text if function in WITH_CONTEXT else (None, text)
            if isinstance(text, tuple):
                text = text[:2]  # singular and plural; what stands for the number is no text
            first = text[0] if isinstance(text, tuple) else text
            if first:
                catalogue.add(text, locations=[(str(path.relative_to(ROOT)), None)], context=context)
    return catalogue


def _python_code() -> Iterator[tuple[Path, bytes]]:
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, path.read_bytes()
        for path in sorted((ROOT / source).rglob("*.html")):
            # Django's own makemessages goes this way: a template becomes code in which only its texts are left.
            yield path, templatize(path.read_text(encoding="utf-8")).encode()


def stored() -> Catalog:
    """The catalogue as it is in the repository."""
    if not PO_FILE.exists():
        return Catalog(locale="zh_Hans_CN", project="MyAgent", fuzzy=False)
    with PO_FILE.open("rb") as file:
        return read_po(file, locale="zh_Hans_CN")


def compiled() -> Catalog:
    """The catalogue as gettext reads it."""
    with MO_FILE.open("rb") as file:
        return read_mo(file)


def update() -> None:
    """Take up new texts, drop those that are gone, compile."""
    catalogue, found = stored(), texts()
    found.creation_date = catalogue.creation_date  # so that a change has no line that every other change has, too
    catalogue.update(found, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    PO_FILE.parent.mkdir(parents=True, exist_ok=True)
    with PO_FILE.open("wb") as file:
        write_po(file, catalogue, width=120, sort_output=True, no_location=True, omit_header=False)
    with MO_FILE.open("wb") as file:
        write_mo(file, stored())


if __name__ == "__main__":
    update()
