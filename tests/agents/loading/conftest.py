"""What the tests of loading share: agent files on a clean slate."""

from __future__ import annotations

import importlib
from textwrap import dedent

import pytest

from agents.loading.agent_folders import folders
from myagent import i18n


@pytest.fixture(autouse=True)
def clean_imports():
    """English words; and nothing of one test is importable in the next."""
    language = i18n._language
    i18n.use_language("en")
    yield
    folders.forget()
    importlib.invalidate_caches()
    i18n.use_language(language)


@pytest.fixture
def write(tmp_path):
    """Write a file below the test's folder; returns its path as text."""

    def writer(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(dedent(text), encoding="utf-8")
        return str(path)

    return writer
