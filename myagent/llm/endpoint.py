"""The endpoint of the model, as the environment configures it, and its errors in words for people."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self
from urllib.parse import SplitResult, unquote, urlsplit

from dotenv import find_dotenv, load_dotenv

from myagent.exceptions import (
    ContextOverflow,
    LLMAuthError,
    LLMError,
    LLMNotAllowed,
    LLMNotConfigured,
    LLMNotFound,
    LLMRejected,
    LLMUnavailable,
    LLMUnreachable,
)
from myagent.i18n import gettext as _
from myagent.llm.test_guard import may_ask, stand_in
from myagent.text import clean

DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-4o-mini"

# Shorter keys are placeholders ("x", "none") for servers that need no key: no secret, and no word to look for.
_SHORTEST_SECRET = 6
_LONGEST_QUOTE = 300

# How OpenAI, vLLM, llama.cpp, DashScope, Zhipu and others word that the history is too long.
_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum (?:context|model) length|context (?:length|window|size)"
    r"|(?:prompt|input|request|message)s? (?:is|are) too long|too many (?:input |prompt )?tokens|input length"
    r"|reduce the length of the messages|max_model_len|string_above_max_length|上下文.{0,8}(?:超|过长)|超长",
    re.IGNORECASE,
)
_KEY_TYPES = re.compile(r"auth|api_?key|permission", re.IGNORECASE)
_REJECTED_TYPES = re.compile(r"invalid_?request|bad_?request|content|policy", re.IGNORECASE)


@cache
def _load_dotenv() -> None:
    """Load the nearest `.env`, once; variables that are set already stay."""
    if path := find_dotenv(usecwd=True):
        load_dotenv(path, override=False)


def setting(*names: str) -> str | None:
    """The first of the environment variables `names` that is set and not blank; `.env` counts as environment."""
    _load_dotenv()
    for name in names:
        if value := os.environ.get(name, "").strip():
            return value
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Chat Completions endpoint; `url` None is OpenAI's own. Words every error without the key and credentials."""

    model: str
    key: str = field(repr=False)
    url: str | None = field(default=None, repr=False)

    @classmethod
    def resolve(cls, model: str, key: str | None, url: str | None) -> Self:
        """The endpoint given, or else the one in the environment. Raises `LLMNotConfigured`."""
        if (scripted := stand_in()) is not None:
            return cls(model, "key-of-a-test", scripted)
        url = url or setting("OPENAI_BASE_URL", "OPENAI_API_BASE")
        if url is not None and not _is_http(url):
            raise LLMNotConfigured(
                _("OPENAI_BASE_URL is not a URL that begins with http:// or https://, such as {example}.").format(
                    example=DEFAULT_URL
                )
            )
        key = key or setting("OPENAI_API_KEY")
        if key is None:
            raise LLMNotConfigured(_missing_key(url))
        if not (key.isascii() and key.isprintable()):
            raise LLMNotConfigured(
                _("OPENAI_API_KEY holds characters that no key has. Put the key of your model's endpoint there.")
            )
        return cls(model, key, url)

    def check_allowed(self) -> None:
        """Raise `LLMNotAllowed` when a test must not ask this endpoint."""
        if not may_ask(self.url or DEFAULT_URL):
            raise LLMNotAllowed(
                _(
                    "Tests do not ask the real model at {url}. Give the agent a ScriptedLLM, or allow it: mark the "
                    "test with @pytest.mark.real_llm, or run pytest with --allow-real-llm."
                ).format(url=self.shown)
            )

    @property
    def shown(self) -> str:
        """The URL for people: without credentials and query."""
        return _shown(self.url or DEFAULT_URL)

    @property
    def server(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url or DEFAULT_URL)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def address(self) -> str | None:
        """The URL to connect to, without credentials; None is OpenAI's own."""
        return None if self.url is None else _without_credentials(self.url).geturl()

    @property
    def headers(self) -> dict[str, str]:
        """What the URL's credentials become: basic authentication, in place of the key's header."""
        login = urlsplit(self.url or "").netloc.rpartition("@")[0]
        return {"Authorization": f"Basic {b64encode(unquote(login).encode()).decode()}"} if login else {}

    def unreachable(self, error: BaseException) -> LLMError:
        """What to raise when no answer came, because of `error`."""
        return LLMUnreachable(
            _("No connection to the model at {url}: {reason}. Check OPENAI_BASE_URL and the network.").format(
                url=self.shown, reason=_reason(error)
            )
        )

    def not_the_api(self) -> LLMError:
        """What to raise when the answer is a web page or anything else that is no reply of a model."""
        return LLMNotFound(
            _("{url} answers, but not as a Chat Completions endpoint does. Check OPENAI_BASE_URL.").format(
                url=self.shown
            )
        )

    def refused(self, status: int | None, body: object) -> LLMError:
        """What to raise for an error that the endpoint answered; `status` None stands for one inside a stream."""
        kind, said = _words(body)
        status = status or _status_of(kind)
        quote = self._quote(said)
        places = {"url": self.shown, "status": status, "model": self.model}
        if status == 413 or (status in (400, 422) and _OVERFLOW.search(f"{kind} {said}")):
            words = _("The conversation is longer than the model {model} can read.")
            return ContextOverflow(words.format(**places) + quote)
        if status in (401, 403):
            words = _("The model's endpoint {url} refuses the key (HTTP {status}). Check OPENAI_API_KEY.")
            return LLMAuthError(words.format(**places) + quote)
        if status in (404, 405):
            words = _(
                "The model's endpoint {url} does not know the model {model}, or has no such path (HTTP {status}). "
                "Check LLM_MODEL and OPENAI_BASE_URL."
            )
            return LLMNotFound(words.format(**places) + quote)
        if status == 429:
            words = _("The model's endpoint {url} allows no more requests now (HTTP {status}). Try again later.")
            return LLMUnavailable(words.format(**places) + quote)
        if status >= 500 or status in (408, 409):
            words = _("The model's endpoint {url} is overloaded or broken (HTTP {status}). Try again later.")
            return LLMUnavailable(words.format(**places) + quote)
        return LLMRejected(
            _("The model's endpoint {url} refuses the request (HTTP {status}).").format(**places) + quote
        )

    def _quote(self, said: str) -> str:
        said = " ".join(clean(said).split())
        if len(self.key) >= _SHORTEST_SECRET:
            said = said.replace(self.key, "***")
        if not said or said.startswith("<"):  # the web page of a proxy says nothing useful
            return ""
        if len(said) > _LONGEST_QUOTE:
            said = said[:_LONGEST_QUOTE] + "…"
        return " " + _("It says: {words}").format(words=said)


def _missing_key(url: str | None) -> str:
    words = _("No key for the model is set. Set OPENAI_API_KEY in the environment or in .env, or try --llm demo.")
    if url is not None:
        words += " " + _("Where {url} needs no key, any text will do.").format(url=_shown(url))
    return words


def _shown(url: str) -> str:
    return _without_credentials(url)._replace(query="", fragment="").geturl()


def _without_credentials(url: str) -> SplitResult:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2])


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        return False


def _words(body: object) -> tuple[str, str]:
    """The kind (code, type) and the message in an error body, in any of the shapes in use."""
    while isinstance(body, Mapping) and isinstance(body.get("error"), (Mapping, str)):
        body = body["error"]
    if not isinstance(body, Mapping):
        return "", body if isinstance(body, str) else ""
    kind = " ".join(str(body[name]) for name in ("code", "type", "param") if body.get(name) is not None)
    said: Any = next((body[name] for name in ("message", "detail", "msg") if body.get(name)), "")
    return kind, said if isinstance(said, str) else str(said)


def _status_of(kind: str) -> int:
    """The HTTP status that an error inside a stream would have had."""
    if number := re.search(r"\b[45]\d\d\b", kind):
        return int(number[0])
    if "rate_limit" in kind or "quota" in kind:
        return 429
    if _KEY_TYPES.search(kind):
        return 401
    if _OVERFLOW.search(kind) or _REJECTED_TYPES.search(kind):
        return 400
    return 500


def _reason(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, TimeoutError):
            return _("it did not answer in time")
        if isinstance(cause, OSError) and cause.errno:
            # Name lookups have negative numbers, which only their own text explains.
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    return _("the connection was closed without an answer")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
