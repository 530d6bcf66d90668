"""The headers with which a file is handed out, by the API and in the admin."""

from __future__ import annotations

from django.utils.http import content_disposition_header

from sessions_app.files.file_store import FileFacts

# Whatever a browser takes it for, it runs nothing, fetches nothing and knows no cookie.
POLICY = "default-src 'none'; sandbox"


def file_headers(facts: FileFacts) -> dict[str, str]:
    """How a file is handed out: shown if it is a picture, which was made sure of, and else saved."""
    kind = facts.kind
    shown_as = f"text/plain; charset={kind.encoding}" if kind.is_text else kind.type
    return {
        "Content-Type": shown_as,
        "Content-Length": str(facts.size),
        "Content-Disposition": content_disposition_header(not kind.is_picture, facts.name) or "attachment",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
    }
