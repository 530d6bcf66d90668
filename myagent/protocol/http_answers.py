"""The bodies of answers over HTTP, where they are not those of the WebSocket's events. Later versions may add keys."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from myagent.protocol.direct_events import StateRestoredMetadata
from myagent.protocol.server_events import ForkedFrom


class RefusedAnswer(BaseModel):
    """What every refused request is answered with."""

    code: str = Field(description="for programs; never renamed")
    message: str = Field(description="a sentence for people, in the language that was asked for")
    details: dict[str, Any] | None = Field(None, description="what belongs to the code, such as a limit")


class FamilyAnswer(BaseModel):
    """A session with its forks, where a list has one entry for all of them."""

    size: int
    unread: int
    run_status: str


class SessionAnswer(BaseModel):
    """One session."""

    session_id: str
    agent: str
    title: str
    status: Literal["open", "closed"]
    last_seq: int = Field(description="the number of the last event in its log")
    read_seq: int = Field(description="the last event that a client has acknowledged")
    run_status: str = Field(description="of its unfinished run: queued, running, waiting; idle where there is none")
    failed: bool = Field(description="whether its newest run ended with an error")
    created_at: str
    active_at: str
    forked_from: ForkedFrom | None = None
    family_id: str | None = None
    family: FamilyAnswer | None = Field(None, description="in lists of families")
    metadata: dict[str, Any] | None = Field(None, description="that of the client; not in lists")


class SessionsAnswer(BaseModel):
    """A page of the caller's sessions, newest first."""

    sessions: list[SessionAnswer]
    next: str | None = Field(description="`before` of the next page; null on the last one")


class EventsAnswer(BaseModel):
    """A page of the log of a session."""

    events: list[dict[str, Any]] = Field(description="in order, as the WebSocket sends them")
    next: int | None = Field(description="`after` of the next page; null where this is the end of the log")
    last_seq: int
    run_status: str


class AcceptedAnswer(BaseModel):
    """How a message was stored."""

    message_id: str
    run_id: str = Field(description="the run that answers it")
    position: int = Field(description="0 where its run has begun, else its place among those that wait")
    duplicate: bool = Field(description="whether it had been stored before, under the same message_id")
    mode: Literal["steer"] | None = Field(None, description="steer: the run of that id, which is going, will read it")


class CancelledAnswer(BaseModel):
    """What a cancel has ended."""

    run_ids: list[str] = Field(description="empty where nothing was running or waiting")


class ChatAnswer(BaseModel):
    """A conversation as the AI SDK has it."""

    id: str = Field(description="the name that was asked for")
    session_id: str
    messages: list[dict[str, Any]] = Field(description="its `UIMessage`s")


class FileAnswer(BaseModel):
    """A file that was uploaded."""

    file_id: str
    name: str
    type: str
    size: int
    url: str


class FilesAnswer(BaseModel):
    """The files of an upload."""

    files: list[FileAnswer]


class ForkedAnswer(BaseModel):
    """A session that continues another one."""

    session_id: str
    message: AcceptedAnswer | None = Field(None, description="what was said in it, if anything")
    has_state: bool = Field(description="whether tools have there what they had kept at that point")


class RestoredAnswer(StateRestoredMetadata):
    """The session in which an exported state is continued."""

    session_id: str


class AgentTool(BaseModel):
    """A tool of an agent."""

    name: str
    description: str
    parameters: dict[str, Any] = Field(description="a JSON schema")


class AgentAnswer(BaseModel):
    """An agent that the caller may use."""

    name: str
    description: str
    path: str = Field(description="of its WebSocket")
    default: bool = Field(description="whether it is meant where no agent is named")
    tools: list[AgentTool]
    dynamic_tools: bool = Field(description="whether each run chooses its tools; then none are listed")
    examples: list[str]
    accepts: dict[str, Any]
    limits: dict[str, float] = Field(description="those of a run, by their names; what is missing has no limit")
    output: dict[str, Any] | None = Field(description="the JSON schema of its answers, null where they are text")
    when_busy: list[str]


class AgentsAnswer(BaseModel):
    """The agents that the caller may use."""

    agents: list[AgentAnswer]
