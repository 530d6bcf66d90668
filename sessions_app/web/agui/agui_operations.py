"""The operations of the door for AG-UI."""

from __future__ import annotations

from http import HTTPStatus

from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.http_answers import CancelledAnswer
from sessions_app.web.agui.agui_views import join_thread, run_agent, stop_thread
from sessions_app.web.agui.capabilities import CapabilitiesAnswer
from sessions_app.web.agui.run_input import MAX_ID, RunInput, StopInput
from sessions_app.web.api_operation import NOT_FOUND, OF_A_MESSAGE, TEXT, Operation, OperationParameter
from sessions_app.web.live_log import EVENT_STREAM

_AGENT = "agui/{agent}"
_ID = {**TEXT, "maxLength": MAX_ID}

AGUI_OPERATIONS = (
    Operation(
        method="POST",
        path=_AGENT,
        text="AG-UI 1.0: say something or answer questions, and follow the run; the answer is a stream of its events",
        view=run_agent,
        asks=RunInput,
        answers_as=(EVENT_STREAM,),
        also=(HTTPStatus.NO_CONTENT,),
        codes=(*OF_A_MESSAGE, ErrorCode.AGENT_NOT_FOUND),
    ),
    Operation(
        method="GET",
        path=_AGENT,
        text="AG-UI 1.0: what the agent can do; with threadId, join what goes on, 204 where nothing was ever asked",
        view=join_thread,
        parameters=(
            OperationParameter(name="threadId", text="the thread to join", schema={**_ID, "minLength": 1}),
            OperationParameter(name="runId", text="how this request is called", schema=_ID),
        ),
        answer=CapabilitiesAnswer,
        answers_as=(EVENT_STREAM,),
        also=(HTTPStatus.NO_CONTENT,),
        codes=(*NOT_FOUND, ErrorCode.AGENT_NOT_FOUND, ErrorCode.AGENT_UNAVAILABLE),
    ),
    Operation(
        method="POST",
        path=f"{_AGENT}/stop",
        text="AG-UI 1.0: cancel what goes on in a thread",
        view=stop_thread,
        asks=StopInput,
        answer=CancelledAnswer,
        codes=NOT_FOUND,
    ),
)
