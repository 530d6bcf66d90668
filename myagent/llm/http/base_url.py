"""The base URL of a Chat Completions endpoint: what can be one, and the addresses that follow from it. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv6Address
from typing import Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

_METHOD = "chat/completions"
_LABEL = re.compile(r"[^\W_]([\w-]{0,61}[^\W])?|_[\w-]{0,62}")
_LONGEST_HOST = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class BaseURL:
    """A URL that is known to be one; `parse` makes it. Its parts are joined by `urllib.parse` and never as texts."""

    _parts: SplitResult

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The URL in `text`, or None when it cannot be the address of an endpoint."""
        text = text.strip()
        if not text.isprintable() or any(sign in text for sign in ' \\"<>{}|^`'):
            return None
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:  # a port that is no number, a broken IPv6 address
            return None
        place = parts.netloc.rpartition("@")[2]
        if parts.scheme not in _DEFAULT_PORTS or port == 0 or place.endswith(":"):
            return None
        return cls(parts) if _is_host(parts.hostname or "") else None

    @cached_property  # for each request
    def shown(self) -> str:
        """For people: without credentials, query and fragment."""
        return urlunsplit((self._parts.scheme, self._place, self._parts.path, "", ""))

    @property
    def bare(self) -> str:
        """Without credentials and fragment."""
        return urlunsplit((self._parts.scheme, self._place, self._parts.path, self._parts.query, ""))

    @cached_property  # for each request
    def completions(self) -> str:
        """Where to ask: the path of the method behind that of the base, in front of the query.

        A base URL that names the method itself is taken as it is.
        """
        segments = [*self._parts.path.strip("/").split("/"), *_METHOD.split("/")]
        if segments[-4:-2] == segments[-2:]:
            segments = segments[:-2]
        path = "/".join(["", *filter(None, segments)])
        return urlunsplit((self._parts.scheme, self._place, path, self._parts.query, ""))

    @property
    def server(self) -> tuple[str, int]:
        """Host and port."""
        return self._parts.hostname or "", self._parts.port or _DEFAULT_PORTS[self._parts.scheme]

    @property
    def basic_authentication(self) -> str | None:
        """The value of the header `Authorization` that the credentials in the URL stand for; None without any."""
        login = self._parts.netloc.rpartition("@")[0]
        return f"Basic {b64encode(unquote(login).encode()).decode()}" if login else None

    @property
    def takes_key_header(self) -> bool:
        """Whether it has an `api-version`, as Azure's do: those read the key from a header `api-key`."""
        return "api-version" in parse_qs(self._parts.query)

    @property
    def _place(self) -> str:
        return self._parts.netloc.rpartition("@")[2]


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            IPv6Address(host)
        except ValueError:
            return False
        return True
    labels = host.removesuffix(".").split(".")
    return len(host) <= _LONGEST_HOST and all(map(_LABEL.fullmatch, labels))
