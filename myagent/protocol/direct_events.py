"""Direct events: answers to one connection. They have no `seq` and are never stored."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from myagent.protocol.server_base import LimitFields, Metadata, Open, ServerEvent


class ConnectedMetadata(Metadata):
    connection_id: str
    server: str
    protocol: str
    agents: list[str]
    max_frame_bytes: int
    user: str | None = None
    credential: str | None = None
    staff: bool | None = None


class SystemConnected(ServerEvent):
    """First on every connection."""

    event: Literal["system.connected"] = "system.connected"
    content: str
    metadata: ConnectedMetadata


class HeartbeatMetadata(Metadata):
    server_time: str
    sessions: dict[str, int]


class SystemHeartbeat(ServerEvent):
    """Keeps proxies from cutting a silent run, and shows a client whether it is behind."""

    event: Literal["system.heartbeat"] = "system.heartbeat"
    content: str = ""
    metadata: HeartbeatMetadata


class FreeMetadata(Metadata):
    """Metadata whose keys depend on what is answered."""

    model_config = ConfigDict(extra="allow", frozen=True)


class RefusalMetadata(FreeMetadata):
    code: str
    request: str | None = None


class SystemError(ServerEvent):
    """The answer to a frame that is no request of this protocol."""

    event: Literal["system.error"] = "system.error"
    content: str
    metadata: RefusalMetadata


class RequestError(ServerEvent):
    """`agent.error` in answer to one request: it has no `run_id`."""

    event: Literal["agent.error"] = "agent.error"
    content: str
    metadata: RefusalMetadata


class NoticeMetadata(Metadata):
    """`accepted` has the message's ids and place, `replay` what was sent again, `budget` how much of a day's tokens
    is used, `limit` how much of what a run may use, `waiting_for_model` how many seconds the model's endpoint makes the
    run wait, `queued` the place of a run that waits for one, `state_unknown` that a fork begins without what tools
    kept; the rest belongs to plans.
    """

    action: str
    message_id: str | None = None
    run_id: str | None = None
    position: int | None = None
    duplicate: Open[Literal[True] | None] = None
    replayed: int | None = None
    last_seq: int | None = None
    run_status: str | None = None
    percent: int | None = None
    seconds: float | None = None
    scope: Open[Literal["user", "group", "agent"] | None] = None
    free_at: str | None = None
    limit: LimitFields | None = None
    task_id: str | None = None
    ok: bool | None = None
    mode: str | None = None


class SystemNotice(ServerEvent):
    """The outcome of a request, for the connection that sent it."""

    event: Literal["system.notice"] = "system.notice"
    content: str = ""
    metadata: NoticeMetadata


class SessionsMetadata(Metadata):
    sessions: list[dict[str, Any]]
    next: str | None = None


class SystemSessions(ServerEvent):
    """The caller's sessions, newest first."""

    event: Literal["system.sessions"] = "system.sessions"
    content: str = ""
    metadata: SessionsMetadata


class SessionDeleted(ServerEvent):
    """The session is gone with all its events, therefore this one is not logged."""

    event: Literal["agent.session_deleted"] = "agent.session_deleted"
    content: str


class StateExportedMetadata(Metadata):
    """`state_size` is in bytes of `signed_state` as JSON, `current_step` the last one of the newest run."""

    signed_state: dict[str, str]
    state_size: int
    message_count: int
    current_step: int


class StateExported(ServerEvent):
    """A session for the client to keep; any server with the same secret can resume it."""

    event: Literal["agent.state_exported"] = "agent.state_exported"
    content: str
    metadata: StateExportedMetadata


class StateRestoredMetadata(Metadata):
    """The session may be another one than that which was exported; `warnings` are sentences for people."""

    original_session_id: str
    restored_step: int
    message_count: int
    agent_name: str
    connection_id: str
    warnings: list[str]


class StateRestored(ServerEvent):
    """The conversation is resumed in the session that this event names."""

    event: Literal["agent.state_restored"] = "agent.state_restored"
    content: str
    metadata: StateRestoredMetadata


class IdleMetadata(Metadata):
    reason: Open[Literal["idle"]] = "idle"


class NothingInterrupted(ServerEvent):
    """`agent.interrupted` in answer to a cancel when nothing was running."""

    event: Literal["agent.interrupted"] = "agent.interrupted"
    content: str
    metadata: IdleMetadata = IdleMetadata()
