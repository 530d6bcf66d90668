"""The address of the server, as people write it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _
from myagent.i18n import language

DEFAULT_URL = "ws://localhost:8080/"
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class AddressError(MyAgentError):
    """A text that is not the address of a server."""

    code = "bad_address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The URL to connect to, without the token."""

    url: str
    token: str | None = field(default=None, repr=False)

    @property
    def spoken_url(self) -> str:
        """The same, asking the server to speak the language of this program, unless another one is named."""
        parts = urlsplit(self.url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        if any(key == "lang" for key, _value in query):
            return self.url
        return urlunsplit(parts._replace(query=urlencode([*query, ("lang", language())])))

    @property
    def host(self) -> str:
        """The name or address of the server, without the port."""
        return urlsplit(self.url).hostname or ""

    @property
    def agent(self) -> str:
        """The agent that the path names, empty when it names none; the server may have only some paths of its host."""
        *_, head, name = ["", "", *urlsplit(self.url).path.strip("/").split("/")]
        return unquote(name) if head == "ws" else ""

    @property
    def port(self) -> int:
        """The port of the server."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "wss" else 80)


def read_address(text: str, *, token: str | None = None) -> Address:
    """The address that `text` names: a URL of a WebSocket or of a page, or just `host`, `host:port` or `:port`.

    A token in it, as the server's banner shows one, is taken out, since URLs end up in logs; `token` goes before it.
    Raises `AddressError`.
    """
    text = text.strip()
    if "://" not in text:
        text = f"ws://localhost{text}" if text.startswith(":") else f"ws://{text}"
        head, slash, path = text.partition("://")[2].partition("/")
        if ":" not in head.rpartition("]")[2]:
            text = f"ws://{head}:8080{slash}{path}"
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for what is no number
    except ValueError as error:
        raise _bad(text) from error
    if (scheme := _SCHEMES.get(parts.scheme)) is None or not parts.hostname or "@" in parts.netloc:
        raise _bad(text)
    query = parse_qsl(parts.query, keep_blank_values=True)
    given = (token or "").strip() or next((value for key, value in query if key == "token"), "")
    if not all("!" <= character <= "~" for character in given):
        raise AddressError(_("The token has characters in it that no token has; copy it once more."))
    kept = urlencode([(key, value) for key, value in query if key != "token"])
    return Address(url=urlunsplit((scheme, parts.netloc, parts.path or "/", kept, "")), token=given or None)


def _bad(text: str) -> AddressError:
    words = _("%(text)r is not the address of a server. Write it like %(example)s")
    return AddressError(words % {"text": text.partition("?")[0], "example": DEFAULT_URL})
