"""The page to chat on: one file that needs nothing else, and its content security policy."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

FILE = Path(__file__).resolve().parent / "pages" / "chat.html"


@cache
def content() -> str:
    """The page."""
    return FILE.read_text(encoding="utf-8")


def policy(socket: str) -> str:
    """The Content-Security-Policy: the page's own script and style, connections to this server (`socket`), no more.

    So even a mistake in the page could not run what somebody wrote into a conversation, or send it anywhere.
    """
    # 'self' means the WebSocket of the same address, too, but older Safaris do not know that.
    return (
        f"default-src 'none'; script-src {_hash('script')}; style-src {_hash('style')}; img-src 'self' data:; "
        f"connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _hash(element: str) -> str:
    """How a policy names the page's only `<script>` or `<style>`."""
    (text,) = re.findall(f"<{element}>(.*?)</{element}>", content(), re.DOTALL)
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
