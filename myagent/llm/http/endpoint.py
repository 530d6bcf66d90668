"""The endpoint of the model, as the environment configures it, and its errors in words for people."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from typing import Self

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
from myagent.llm.http.base_url import BaseURL
from myagent.llm.http.connection_error import reason_of
from myagent.llm.http.error_body import ErrorBody, read_error
from myagent.llm.http.test_guard import may_ask, stand_in
from myagent.llm.http.wordings import says_loading, says_no_pictures, says_too_long, says_used_up, token_limit
from myagent.text import clean

DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-4o-mini"
URL_VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")

# Shorter keys are placeholders ("x", "none") for servers that need no key: no secret, and no word to look for.
_SHORTEST_SECRET = 6
_LONGEST_QUOTE = 300


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


def unusable_url(url: str, name: str = URL_VARIABLES[0]) -> str | None:
    """Why `url`, which the setting `name` gives, cannot be the address of an endpoint; None when it can."""
    if BaseURL.parse(url) is not None:
        return None
    words = _("{name} is not a URL that begins with http:// or https:// and names a host, such as {example}.")
    return words.format(name=name, example=DEFAULT_URL)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Chat Completions endpoint; `url` None is OpenAI's own. Words every error without the key and credentials.

    What everybody may read of an error (`public`) names neither the address nor settings, and quotes nothing.
    """

    model: str
    key: str = field(repr=False)
    url: str | None = field(default=None, repr=False)

    @classmethod
    def resolve(cls, model: str, key: str | None, url: str | None) -> Self:
        """The endpoint given, or else the one in the environment. Raises `LLMNotConfigured`."""
        if (scripted := stand_in()) is not None:
            return cls(model, "key-of-a-test", scripted)
        url = (url or "").strip() or setting(*URL_VARIABLES)
        if url is not None and (problem := unusable_url(url)) is not None:
            raise _not_configured(problem)
        key = (key or "").strip() or setting("OPENAI_API_KEY")
        if key is None:
            raise _not_configured(_missing_key(url))
        if not (key.isascii() and key.isprintable()):
            raise _not_configured(
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
    def base(self) -> BaseURL:
        """The base URL."""
        return _base(self.url or DEFAULT_URL)

    @property
    def shown(self) -> str:
        """The URL for people: without credentials and query."""
        return self.base.shown

    @property
    def server(self) -> tuple[str, int]:
        """Host and port."""
        return self.base.server

    @property
    def address(self) -> str | None:
        """The base URL without credentials; None is OpenAI's own."""
        return None if self.url is None else self.base.bare

    @property
    def completions(self) -> str:
        """The URL to ask."""
        return self.base.completions

    @property
    def headers(self) -> dict[str, str]:
        """What the URL asks for beside the key, or in its place: basic authentication for credentials in it."""
        base = self.base
        if (login := base.basic_authentication) is not None:
            return {"Authorization": login}
        return {"api-key": self.key} if base.takes_key_header else {}

    # --- errors ---

    def unreachable(self, error: BaseException) -> LLMError:
        """What to raise when no answer came, because of `error`."""
        return LLMUnreachable(
            _("No connection to the model at {url}: {reason}. Check OPENAI_BASE_URL and the network.").format(
                url=self.shown, reason=reason_of(error)
            ),
            public=_("The model cannot be reached at the moment. Please try again later."),
        )

    def given_up(self) -> LLMError:
        """What to raise when others have found meanwhile that it does not answer."""
        return LLMUnavailable(
            _("The model's endpoint {url} is not asked again for now: it did not answer others.").format(
                url=self.shown
            ),
            public=_("The model is not available at the moment. Please try again later."),
        )

    def not_the_api(self) -> LLMError:
        """What to raise when the answer is a web page or anything else that is no reply of a model."""
        return LLMNotFound(
            _("{url} answers, but not as a Chat Completions endpoint does. Check OPENAI_BASE_URL.").format(
                url=self.shown
            ),
            public=_not_found(),
        )

    def refused(self, status: int | None, body: object) -> LLMError:
        """What to raise for an error that the endpoint answered; `status` None stands for one inside a stream.

        `body` is the decoded body, or what was read of it.
        """
        said = body if isinstance(body, ErrorBody) else read_error(body)
        number = status or _status_of(said)
        quote = self._quote(said.words)
        places = {"url": self.shown, "status": number, "model": self.model}
        if number == 413 or (number not in (401, 403, 404) and says_too_long(said.text)):
            words = _("The conversation is longer than the model {model} can read.").format(**places)
            return ContextOverflow(
                words + quote,
                public=_("The conversation is longer than the model can read."),
                limit=token_limit(said.words),
            )
        kind, words, public = self._kind_of(number, said)
        return kind(words.format(**places) + quote, public=public)

    def _kind_of(self, status: int, said: ErrorBody) -> tuple[type[LLMError], str, str]:
        """The class of an error, its words for those who run the server, and those for everybody."""
        later = _("The model is not available at the moment. Please try again later.")
        if status in (402, 403, 429) and says_used_up(said.text):
            words = _(
                "The account at the model's endpoint {url} is used up (HTTP {status}). Look at its balance and plan."
            )
            kind = LLMUnavailable if status == 429 else LLMRejected if status == 402 else LLMAuthError
            return kind, words, _("The model is not available: the account of this server is used up.")
        if status in (401, 403):
            words = _("The model's endpoint {url} refuses the key (HTTP {status}). Check OPENAI_API_KEY.")
            return LLMAuthError, words, _("The model does not let this server in.")
        if (status >= 500 or status in (404, 415)) and says_no_pictures(said.text):
            # Gateways and local servers say it with these, too.
            words = _("The model's endpoint {url} refuses the request (HTTP {status}).")
            return LLMRejected, words, _("The model refuses this request.")
        if status in (404, 405):
            words = _(
                "The model's endpoint {url} does not know the model {model}, or has no such path (HTTP {status}). "
                "Check LLM_MODEL and OPENAI_BASE_URL."
            )
            return LLMNotFound, words, _not_found()
        if status == 429:
            words = _("The model's endpoint {url} allows no more requests now (HTTP {status}). Try again later.")
            return LLMUnavailable, words, later
        if status >= 500 and says_loading(said.text):
            words = _("The model's endpoint {url} is still loading the model (HTTP {status}). Try again later.")
            return LLMUnavailable, words, later
        if status >= 500 or status in (408, 409):
            words = _("The model's endpoint {url} is overloaded or broken (HTTP {status}). Try again later.")
            return LLMUnavailable, words, later
        words = _("The model's endpoint {url} refuses the request (HTTP {status}).")
        return LLMRejected, words, _("The model refuses this request.")

    def _quote(self, said: str) -> str:
        said = " ".join(clean(said).split())
        if len(self.key) >= _SHORTEST_SECRET:
            said = said.replace(self.key, "***")
        if not said or said.startswith("<"):  # the web page of a proxy says nothing useful
            return ""
        if len(said) > _LONGEST_QUOTE:
            said = said[:_LONGEST_QUOTE] + "…"
        return " " + _("It says: {words}").format(words=said)


@cache
def _base(url: str) -> BaseURL:
    base = BaseURL.parse(url)
    if base is None:
        raise _not_configured(unusable_url(url) or "")
    return base


def _not_configured(words: str) -> LLMNotConfigured:
    return LLMNotConfigured(words, public=_("The model of this server is not set up."))


def _not_found() -> str:
    return _("The model is not found where this server looks for it.")


def _missing_key(url: str | None) -> str:
    words = _("No key for the model is set. Set OPENAI_API_KEY in the environment or in .env, or try --llm demo.")
    if url is not None and (base := BaseURL.parse(url)) is not None:
        words += " " + _("Where {url} needs no key, any text will do.").format(url=base.shown)
    return words


def _status_of(said: ErrorBody) -> int:
    """The HTTP status that an error inside a stream would have had."""
    if (status := said.status) is not None:
        return status
    if "rate_limit" in said.kind or "quota" in said.kind or says_used_up(said.text):
        return 429
    if said.is_about_key:
        return 401
    if said.is_about_request or says_too_long(said.text):
        return 400
    return 500
