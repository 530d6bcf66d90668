"""The exported state of a session: what is in it, and the signature that proves it unaltered.

A sealed state is an object of five strings, so that every JSON reader and writer leaves it unchanged: `state` (JSON),
its `checksum`, the `timestamp` of the export, the `version` of the format, and the `signature` of these three.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import orjson
from django.core.signing import BadSignature, Signer
from pydantic import TypeAdapter, ValidationError

from myagent.i18n import gettext as _
from myagent.i18n import gettext_noop
from myagent.loop.context_window import exchanges
from myagent.messages import Message, ToolCall
from myagent.protocol.codec import timestamp
from myagent.protocol.error_codes import ErrorCode, ProtocolError

VERSION = "1"
MAX_AGE = timedelta(days=7)
LIMIT_BYTES = 256 * 1024
"""Of a sealed state, as JSON."""

Sealed = dict[str, str]
Reason = Literal["malformed", "version", "altered", "expired", "other_user", "unknown_agent"]

# The result that the model is shown for a call that had none.
_NO_RESULT = gettext_noop(
    "The conversation was exported before this call had a result; whether it took effect is unknown."
)
_PARTS = ("state", "timestamp", "signature", "version", "checksum")
# HMAC-SHA256 with a key that is derived from SECRET_KEY for this purpose alone, or from one of SECRET_KEY_FALLBACKS.
_SALT = "sessions_app.state"


@dataclass(frozen=True, kw_only=True)
class SavedState:
    """A session as it can be resumed elsewhere. `user` is the name of its only user, None in an anonymous session."""

    session_id: UUID
    user: str | None
    agent: str
    title: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    tool_state: dict[str, Any] = field(default_factory=dict)
    messages: Sequence[Message] = ()
    last_seq: int
    step: int
    is_cut: bool = False
    """Whether older messages were left out."""

    @property
    def is_answered(self) -> bool:
        """Whether the last message is an answer of the model."""
        last = self.messages[-1] if self.messages else None
        return last is None or (last.role == "assistant" and not last.tool_calls)


_SAVED_STATE = TypeAdapter(SavedState)


def invalid_state(reason: Reason, words: str) -> ProtocolError:
    """The error for a state that is refused; `reason` is for programs."""
    return ProtocolError(ErrorCode.INVALID_STATE, words, event="system.error", reason=reason)


# --- the seal ---


def seal(saved: SavedState, now: datetime) -> Sealed:
    """`saved`, signed, for the client to keep. Raises `ProtocolError` if it is nested too deeply."""
    try:
        text = _json(saved).decode()
    except TypeError as error:  # nested more deeply than any reader would take
        raise _too_large() from error
    checksum = hashlib.sha256(text.encode()).hexdigest()
    stamp = timestamp(now)
    signature = Signer(salt=_SALT).signature(_signed_text(VERSION, stamp, checksum))
    return {"state": text, "timestamp": stamp, "signature": signature, "version": VERSION, "checksum": checksum}


def unseal(sealed: Any, *, user: str | None, now: datetime) -> SavedState:
    """The state in `sealed`, for its own user. Raises `ProtocolError` with the reason why it is refused."""
    text, stamp, signature, version, checksum = _parts(sealed)
    if version != VERSION:
        words = _("The state has version %(version)r, this server reads version %(known)r. Export it again.")
        raise invalid_state("version", words % {"version": version[:20], "known": VERSION})
    try:
        Signer(salt=_SALT).unsign(f"{_signed_text(version, stamp, checksum)}:{signature}")
    except BadSignature:
        raise _altered() from None
    if hashlib.sha256(text.encode()).hexdigest() != checksum:
        raise _altered()
    if now - datetime.fromisoformat(stamp) > MAX_AGE:
        words = _("The state is older than %(days)d days. Export it again.") % {"days": MAX_AGE.days}
        raise invalid_state("expired", words)
    try:
        saved = _SAVED_STATE.validate_python(orjson.loads(text))
    except ValidationError as error:
        raise invalid_state("version", _("The state was written by another release. Export it again.")) from error
    if saved.user != user:
        raise invalid_state("other_user", _("The state belongs to another user."))
    return saved


def size_of(sealed: Sealed) -> int:
    """Bytes of a sealed state as JSON."""
    return len(orjson.dumps(sealed))


def _json(value: SavedState | Message) -> bytes:
    return orjson.dumps(value, _fields, orjson.OPT_PASSTHROUGH_DATACLASS)


def _fields(value: SavedState | Message | ToolCall) -> dict[str, Any]:
    """The fields to export: what a model's endpoint added to a message is for that endpoint alone."""
    return {item.name: getattr(value, item.name) for item in fields(value) if item.name != "provider_data"}


def _signed_text(version: str, stamp: str, checksum: str) -> str:
    # None of the three has a line feed in a state that we signed, so no two triples make the same text.
    return "\n".join((version, stamp, checksum))


def _parts(sealed: Any) -> list[str]:
    parts = [sealed.get(name) for name in _PARTS] if isinstance(sealed, dict) else []
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) != len(_PARTS):
        words = _("This is no exported state. Send signed_state exactly as it was exported.")
        raise invalid_state("malformed", words)
    return texts


def _altered() -> ProtocolError:
    return invalid_state("altered", _("The state was altered, or signed with a secret that this server does not know."))


def _too_large() -> ProtocolError:
    words = _("What the tools keep in this session, or its metadata, is too large to be exported.")
    return ProtocolError(ErrorCode.STATE_TOO_LARGE, words)


# --- what goes into it ---


def message_size(message: Message) -> int:
    """Bytes that `message` takes in a sealed state: JSON within a JSON string, and a comma."""
    return len(orjson.dumps(_json(message).decode())) - 1


def cut(saved: SavedState, now: datetime, limit: int = LIMIT_BYTES) -> SavedState:
    """`saved` with as many of its newest whole exchanges as its sealed form has room for in `limit` bytes.

    Raises `ProtocolError` if not even a state without messages fits.
    """
    room = limit - size_of(seal(replace(saved, messages=(), is_cut=False), now))
    if room < 0:
        raise _too_large()
    kept = len(saved.messages)
    for start, end in reversed(exchanges(saved.messages)):
        room -= sum(map(message_size, saved.messages[start:end]))
        if room < 0:
            break
        kept = start
    return replace(saved, messages=saved.messages[kept:], is_cut=saved.is_cut or kept > 0)


def close_calls(messages: Sequence[Message]) -> list[Message]:
    """`messages` with a result for every call, since models refuse a history with open calls."""
    return list(_closed(messages))


def _closed(messages: Sequence[Message]) -> Iterator[Message]:
    results: dict[str, Message | None] = {}
    for message in messages:
        call_id = message.tool_call_id
        if message.role == "tool" and call_id is not None and results.get(call_id, message) is None:
            results[call_id] = message
            continue
        yield from _in_order(results)
        results = {call.id: None for call in message.tool_calls}
        yield message
    yield from _in_order(results)


def _in_order(results: dict[str, Message | None]) -> Iterator[Message]:
    for call_id, result in results.items():
        yield result or Message.tool(_(_NO_RESULT), tool_call_id=call_id)
