"""Refusals of one request: a stable code, a sentence for people, and which event carries them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal


class ErrorCode(StrEnum):
    """`metadata.code` of a refusal. Never renamed, never reused for something else."""

    BAD_JSON = "bad_json"
    BAD_FRAME = "bad_frame"
    TOO_MANY_VALUES = "too_many_values"
    UNKNOWN_EVENT = "unknown_event"
    MISSING_FIELD = "missing_field"
    BAD_FIELD = "bad_field"
    EMPTY_MESSAGE = "empty_message"
    SESSION_NOT_FOUND = "session_not_found"
    MESSAGE_NOT_FOUND = "message_not_found"
    MESSAGE_READ = "message_read"
    RUN_NOT_FOUND = "run_not_found"
    SESSION_CLOSED = "session_closed"
    SESSION_BUSY = "session_busy"
    BUSY = "busy"
    TOO_MANY_SESSIONS = "too_many_sessions"
    AGENT_NOT_FOUND = "agent_not_found"
    AGENT_UNAVAILABLE = "agent_unavailable"
    BUDGET_EXCEEDED = "budget_exceeded"
    TOO_MANY_RUNS = "too_many_runs"
    TOO_MANY_MESSAGES = "too_many_messages"
    TOO_MANY_REQUESTS = "too_many_requests"
    OVER_QUOTA = "over_quota"
    TOO_LARGE = "too_large"
    TOO_MANY_FILES = "too_many_files"
    UNSUPPORTED_TYPE = "unsupported_type"
    FILE_NOT_FOUND = "file_not_found"
    FILE_IN_USE = "file_in_use"
    CURSOR_AHEAD = "cursor_ahead"
    NO_PENDING_CONFIRMATION = "no_pending_confirmation"
    NOT_SUPPORTED = "not_supported"
    INVALID_STATE = "invalid_state"
    STATE_TOO_LARGE = "state_too_large"
    TRY_AGAIN = "try_again"
    INTERNAL_ERROR = "internal_error"


class CloseCode:
    """Why the server ends a connection (RFC 6455 section 7.4, and 4xxx of our own)."""

    NORMAL = 1000
    TOO_BIG = 1009
    SERVER_FAULT = 1011
    RESTARTING = 1012
    NOT_OUR_PROTOCOL = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    NO_SUCH_AGENT = 4404
    NOT_READING = 4408
    OVER_LIMIT = 4429


class ProtocolError(Exception):
    """One request is refused; the connection and everything stored stay as they were.

    `event` names the server event that carries the refusal: `system.error` for what is no request at all,
    `agent.error` for a request that cannot be granted. `data` goes into the refusal's metadata.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        event: Literal["system.error", "agent.error"] = "agent.error",
        request: str | None = None,
        request_id: str | None = None,
        session_id: str | None = None,
        **data: Any,
    ) -> None:
        self.code = code
        self.event = event
        self.request = request
        self.request_id = request_id
        self.session_id = session_id
        self.data = data
        super().__init__(message)
