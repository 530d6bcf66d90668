"""Errors as endpoints word them: the kind and the words in a body of any shape. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_KINDS = ("code", "type", "status", "param", "reason", "error_code", "error_type", "errcode", "status_code")
_WORDS = (
    *("message", "msg", "detail", "error_message", "error_msg", "errmsg", "status_msg", "error_description"),
    *("faultstring", "description", "title", "reason"),
)
# Where the error stands when it is not the body itself; `errors` before `error`, which may be only a flag.
_INNER = ("errors", "error", "base_resp", "fault", "response", "detail", "metadata")
_SUCCESS = frozenset({"0", "200", "ok", "success", "succeeded", "none", ""})
_DEEPEST = 6
_KEY_TYPES = re.compile(r"auth|api_?key|permission", re.IGNORECASE)
_REJECTED_TYPES = re.compile(r"invalid|bad_?request|content|policy|unsupported", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an endpoint said of an error: `kind` are its codes and types, `words` what is for people."""

    kind: str = ""
    words: str = ""

    @property
    def text(self) -> str:
        """Both, for a look at how it is worded."""
        return f"{self.kind} {self.words}"

    @property
    def is_about_key(self) -> bool:
        """Whether it is of the key, as far as the kind tells."""
        return _KEY_TYPES.search(self.kind) is not None

    @property
    def is_about_request(self) -> bool:
        """Whether it is of the request, as far as the kind tells."""
        return _REJECTED_TYPES.search(self.kind) is not None

    @property
    def status(self) -> int | None:
        """The HTTP status that the kind names."""
        found = re.search(r"\b[45]\d\d\b", self.kind)
        return int(found[0]) if found else None


def read_body(content: bytes) -> ErrorBody:
    """The error in the body of a response, which may be JSON or any text."""
    try:
        return read_error(orjson.loads(content))
    except orjson.JSONDecodeError:
        return ErrorBody(words=content.decode(errors="replace"))


def read_error(body: object) -> ErrorBody:
    """The error in a decoded body."""
    found = list(_parts(body, _DEEPEST))
    words = next((part.words for part in found if part.words), "")
    return ErrorBody(" ".join(dict.fromkeys(part.kind for part in found if part.kind)), words)


def is_error(chunk: Mapping[str, Any]) -> bool:
    """Whether a body or a chunk that came with status 200 is an error: it says so, or it is no completion at all."""
    if chunk.get("error") or chunk.get("object") == "error":
        return True
    if chunk.get("choices"):
        return False
    result = chunk.get("base_resp")
    if isinstance(result, dict) and _is_success(result, "status_code") is False:
        return True
    if chunk.get("errors") or chunk.get("success") is False:
        return True
    named = [name for name in ("code", "error_code", "errcode", "error_type", "status") if name in chunk]
    is_success = all(_is_success(chunk, name) for name in named)
    if "object" in chunk or "choices" in chunk:
        return bool(named) and not is_success and bool(read_error(chunk).words)
    return not is_success or any(isinstance(chunk.get(name), str) and chunk[name] for name in _WORDS[:5]) and not named


def _is_success(body: Mapping[str, Any], name: str) -> bool:
    return str(body[name]).lower() in _SUCCESS if name in body else True


def _parts(body: object, depth: int) -> Iterator[ErrorBody]:
    """The errors in `body`, the outer ones last: what lies deeper says more."""
    if isinstance(body, str):
        yield ErrorBody(words=body)
    elif isinstance(body, list):
        for item in body[:_DEEPEST] if depth else ():
            yield from _parts(item, depth - 1)
    elif isinstance(body, Mapping) and depth:
        fields = {str(name).lower(): value for name, value in body.items()}
        for name in _INNER:
            if isinstance(inner := fields.get(name), Mapping | list):
                yield from _parts(inner, depth - 1)
        yield _of(fields)
        if isinstance(inner := fields.get("error"), str):
            yield ErrorBody(words=inner)


def _of(fields: Mapping[str, Any]) -> ErrorBody:
    kinds = [str(fields[name]) for name in _KINDS if isinstance(fields.get(name), str | int) and name != "reason"]
    words = next((fields[name] for name in _WORDS if isinstance(fields.get(name), str) and fields[name].strip()), "")
    if isinstance(place := fields.get("loc"), list):  # of a request that was refused by its schema
        words = f"{words} ({'.'.join(map(str, place))})"
    return ErrorBody(" ".join(kind for kind in kinds if kind not in ("True", "False")), words)
