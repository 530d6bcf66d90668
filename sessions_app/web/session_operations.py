"""The operations on sessions: ours, beside which there are those for clients of other protocols."""

from __future__ import annotations

from http import HTTPStatus

from myagent.protocol import client_events as events
from myagent.protocol import http_answers as answers
from myagent.protocol.direct_events import StateExportedMetadata
from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.fork_events import UserFeedback, UserFork
from myagent.protocol.message_events import UserMessage
from sessions_app.delivery.log_pages import PAGE_EVENTS
from sessions_app.web import event_views, run_views, session_views
from sessions_app.web.api_operation import (
    NOT_FOUND,
    NUMBER,
    OF_A_MESSAGE,
    TEXT,
    Operation,
    OperationParameter,
)
from sessions_app.web.live_log import EVENT_STREAM

Code = ErrorCode
IDEMPOTENCY_KEY = OperationParameter(
    name="Idempotency-Key",
    place="header",
    text="the id of the message, as metadata.message_id: sent again, it is the same message",
    schema={**TEXT, "maxLength": 200},
)
SESSION = "sessions/{session_id}"

SESSION_OPERATIONS = (
    Operation(
        method="GET",
        path="sessions",
        text="The caller's sessions, newest first",
        view=session_views.list_sessions,
        parameters=(
            OperationParameter(name="agent", text="only those with this agent", schema=TEXT),
            OperationParameter(
                name="query", text="words in the title or in what was said", schema={**TEXT, "maxLength": 1_000}
            ),
            OperationParameter(name="families", text="one for each session and its forks", schema={"type": "boolean"}),
            OperationParameter(name="family_id", text="only those of this family", schema=TEXT),
            OperationParameter(name="before", text="`next` of the page before", schema=TEXT),
            OperationParameter(name="limit", text="how many", schema={"type": "integer", "minimum": 1, "maximum": 100}),
        ),
        answer=answers.SessionsAnswer,
    ),
    Operation(
        method="POST",
        path="sessions",
        text="Begin a session",
        view=session_views.create_session,
        asks=events.UserCreateSession,
        answer=answers.SessionAnswer,
        status=HTTPStatus.CREATED,
        codes=(Code.AGENT_NOT_FOUND, Code.AGENT_UNAVAILABLE, Code.OVER_QUOTA),
    ),
    Operation(
        method="POST",
        path="sessions/restore",
        text="Continue from an exported state: 200 in its session, 201 in a new one",
        view=session_views.restore_session,
        asks=events.UserReconnectWithState,
        answer=answers.RestoredAnswer,
        status=HTTPStatus.CREATED,
        also=(HTTPStatus.OK,),
        codes=(Code.INVALID_STATE, Code.STATE_TOO_LARGE, Code.AGENT_UNAVAILABLE, Code.OVER_QUOTA),
    ),
    Operation(
        method="GET",
        path=SESSION,
        text="One session",
        view=session_views.show_session,
        answer=answers.SessionAnswer,
        codes=NOT_FOUND,
    ),
    Operation(
        method="PATCH",
        path=SESSION,
        text="Change title or metadata",
        view=session_views.change_session,
        asks=events.UserUpdateSession,
        answer=answers.SessionAnswer,
        codes=(*NOT_FOUND, Code.OVER_QUOTA),
    ),
    Operation(
        method="DELETE",
        path=SESSION,
        text="Delete a session with all that is stored of it",
        view=session_views.delete_session,
        status=HTTPStatus.NO_CONTENT,
        codes=NOT_FOUND,
    ),
    Operation(
        method="POST",
        path=f"{SESSION}/close",
        text="End a session: it can be read and not continued",
        view=session_views.close_session,
        answer=answers.SessionAnswer,
        codes=(*NOT_FOUND, Code.SESSION_CLOSED),
    ),
    Operation(
        method="POST",
        path=f"{SESSION}/fork",
        text="Continue a session in a new one",
        view=session_views.fork_session,
        asks=UserFork,
        parameters=(IDEMPOTENCY_KEY,),
        answer=answers.ForkedAnswer,
        status=HTTPStatus.CREATED,
        codes=(*OF_A_MESSAGE, Code.MESSAGE_NOT_FOUND, Code.CURSOR_AHEAD),
    ),
    Operation(
        method="GET",
        path=f"{SESSION}/events",
        text="The log of a session: a page of it, or with Accept: text/event-stream all of it and what comes, live",
        view=event_views.read_events,
        parameters=(
            OperationParameter(name="after", text="the seq of the last event that the client has", schema=NUMBER),
            OperationParameter(
                name="limit",
                text="how many; not for what is live",
                schema={"type": "integer", "minimum": 1, "maximum": PAGE_EVENTS},
            ),
            OperationParameter(
                name="Last-Event-ID",
                text="the event_id of the last event that the client has; goes before `after`",
                schema=TEXT,
                place="header",
            ),
        ),
        answer=answers.EventsAnswer,
        codes=(*NOT_FOUND, Code.CURSOR_AHEAD),
        answers_as=(EVENT_STREAM,),
    ),
    Operation(
        method="POST",
        path=f"{SESSION}/messages",
        text="Say something; its run begins or waits",
        view=run_views.post_message,
        asks=UserMessage,
        parameters=(IDEMPOTENCY_KEY,),
        answer=answers.AcceptedAnswer,
        status=HTTPStatus.ACCEPTED,
        codes=OF_A_MESSAGE,
    ),
    Operation(
        method="DELETE",
        path=f"{SESSION}/messages/{{message_id}}",
        text="Take a message back that nobody has read",
        view=run_views.withdraw_message,
        status=HTTPStatus.NO_CONTENT,
        codes=(*NOT_FOUND, Code.MESSAGE_NOT_FOUND, Code.MESSAGE_READ),
    ),
    Operation(
        method="POST",
        path=f"{SESSION}/cancel",
        text="Cancel the active run and all that wait",
        view=run_views.cancel_runs,
        answer=answers.CancelledAnswer,
        codes=NOT_FOUND,
    ),
    Operation(
        method="POST",
        path=f"{SESSION}/confirmations/{{step_id}}",
        text="Say yes or no to what a tool wants to do",
        view=run_views.answer_confirmation,
        asks=events.UserResponse,
        status=HTTPStatus.NO_CONTENT,
        codes=(*NOT_FOUND, Code.NO_PENDING_CONFIRMATION),
    ),
    Operation(
        method="POST",
        path=f"{SESSION}/runs/{{run_id}}/feedback",
        text="Say what the user thinks of an answer",
        view=session_views.rate_run,
        asks=UserFeedback,
        status=HTTPStatus.NO_CONTENT,
        codes=(*NOT_FOUND, Code.RUN_NOT_FOUND, Code.OVER_QUOTA),
    ),
    Operation(
        method="GET",
        path=f"{SESSION}/state",
        text="The session as a sealed state",
        view=session_views.export_state,
        answer=StateExportedMetadata,
        codes=(*NOT_FOUND, Code.STATE_TOO_LARGE),
    ),
)
