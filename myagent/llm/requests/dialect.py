"""What an endpoint does not take of a request, learnt from its refusals, and the request in the form that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from myagent.llm.http.wordings import (
    ABOUT_RESPONSE_FORMAT,
    ABOUT_SCHEMAS,
    ABOUT_STREAM,
    ABOUT_TOKEN_LIMIT,
    ABOUT_USAGE,
    says_too_long,
)
from myagent.llm.output_tool import output_tool_of, with_response_format
from myagent.llm.requests.plain_schema import plain_tools


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one endpoint wants its requests. `after_refusal` gives the next one to try."""

    streams: bool = True
    """It takes `stream`."""
    reports_usage: bool = True
    """It takes `stream_options`."""
    renames_token_limit: bool = False
    """It wants `max_completion_tokens` for `max_tokens`."""
    plain_schemas: bool = False
    """It takes a part of JSON Schema only; see `plain_schema`."""
    takes_response_format: bool = True
    """It takes a `response_format` with a JSON schema; see `output_tool`."""

    def write(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`request` in this dialect."""
        written = dict(request)
        if self.streams:
            written["stream"] = True
            if self.reports_usage:
                written.setdefault("stream_options", {"include_usage": True})
        if self.renames_token_limit and "max_tokens" in written:
            limit = written.pop("max_tokens")
            written.setdefault("max_completion_tokens", limit)
        if self.plain_schemas and "tools" in written:
            written["tools"] = plain_tools(written["tools"])
        return with_response_format(written) if self._is_native(request) else written

    def _is_native(self, request: Mapping[str, Any]) -> bool:
        output = output_tool_of(request.get("tools", ()))
        return output is not None and output.may_be_native and self.takes_response_format

    def after_refusal(self, words: str, request: Mapping[str, Any]) -> Dialect | None:
        """The dialect that gets around the refusal of `request` in these words, None when there is none."""
        is_native = self._is_native(request)
        if is_native and ABOUT_RESPONSE_FORMAT.search(words):
            return replace(self, takes_response_format=False)
        if self.streams and self.reports_usage and ABOUT_USAGE.search(words):
            return replace(self, reports_usage=False)
        if not self.renames_token_limit and "max_tokens" in request and ABOUT_TOKEN_LIMIT.search(words):
            return replace(self, renames_token_limit=True)
        if not self.plain_schemas and request.get("tools") and ABOUT_SCHEMAS.search(words):
            return replace(self, plain_schemas=True)
        if self.streams and ABOUT_STREAM.search(words):
            return replace(self, streams=False)
        if is_native and not says_too_long(words):  # some refuse it without a word of what they refuse
            return replace(self, takes_response_format=False)
        return None


class DialectMemory:
    """What the endpoints of this process take, by address and model; streaming is each client's own experience."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Dialect] = {}

    def recall(self, key: tuple[str, str], base: Dialect) -> Dialect:
        """`base` with what is known of that endpoint."""
        known = self._known.get(key)
        if known is None:
            return base
        return replace(
            base,
            renames_token_limit=base.renames_token_limit or known.renames_token_limit,
            plain_schemas=base.plain_schemas or known.plain_schemas,
            takes_response_format=base.takes_response_format and known.takes_response_format,
        )

    def keep(self, key: tuple[str, str], learnt: Dialect) -> None:
        """Remember what a request that succeeded has shown."""
        if learnt.renames_token_limit or learnt.plain_schemas or not learnt.takes_response_format:
            self._known[key] = self.recall(key, learnt)
