"""Reads the `usage` of a Chat Completions reply, in the words of many endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from myagent.llm import Usage

_MOST = 2**53
"""More is a mistake of the endpoint, and could not be stored after some additions."""
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_CACHED = ("cached_tokens", "cache_read_input_tokens", "prompt_cache_hit_tokens", "cache_read_tokens")
_CACHE_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens")
_REASONING = ("reasoning_tokens", "thinking_tokens")
_DETAILS_OF_INPUT = ("prompt_tokens_details", "input_tokens_details")
_DETAILS_OF_OUTPUT = ("completion_tokens_details", "output_tokens_details")


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """What one request took; what the endpoint does not tell counts as 0."""
    of_input, of_output = (*_places(usage, _DETAILS_OF_INPUT), usage), (*_places(usage, _DETAILS_OF_OUTPUT), usage)
    return Usage(
        input_tokens=_first((usage,), _INPUT),
        output_tokens=_first((usage,), _OUTPUT),
        llm_calls=1,
        cached_input_tokens=_first(of_input, _CACHED),
        cache_write_tokens=_first(of_input, _CACHE_WRITTEN),
        reasoning_tokens=_first(of_output, _REASONING),
    )


def _places(usage: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    for name in names:
        if isinstance(details := usage.get(name), dict):
            yield details


def _first(places: tuple[Mapping[str, Any], ...], names: tuple[str, ...]) -> int:
    """The first count above 0 that has one of `names`."""
    return next((count for place in places for name in names if (count := _count(place.get(name)))), 0)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return 0
    return int(value)
