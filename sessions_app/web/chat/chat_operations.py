"""The operations of the door for the Vercel AI SDK."""

from __future__ import annotations

from http import HTTPStatus

from myagent.protocol.error_codes import ErrorCode
from myagent.protocol.http_answers import CancelledAnswer, ChatAnswer
from sessions_app.web.api_operation import NOT_FOUND, OF_A_MESSAGE, Operation
from sessions_app.web.chat.chat_input import ChatInput
from sessions_app.web.chat.chat_views import resume_chat, say_in_chat, show_chat, stop_chat
from sessions_app.web.live_log import EVENT_STREAM

_AGENT = "chat/{agent}"
_CHAT = f"{_AGENT}/{{chat_id}}"

CHAT_OPERATIONS = (
    Operation(
        method="POST",
        path=_AGENT,
        text="AI SDK: say something or answer questions, and follow the run; the answer is a UI message stream",
        view=say_in_chat,
        asks=ChatInput,
        answers_as=(EVENT_STREAM,),
        also=(HTTPStatus.NO_CONTENT,),
        codes=(
            *OF_A_MESSAGE,
            *(ErrorCode.AGENT_NOT_FOUND, ErrorCode.NO_PENDING_CONFIRMATION, ErrorCode.NOT_SUPPORTED),
        ),
    ),
    Operation(
        method="GET",
        path=f"{_CHAT}/stream",
        # The other one is what the SDK makes of an address with a slash at its end.
        also_at=(f"{_AGENT}//{{chat_id}}/stream",),
        text="AI SDK: follow what goes on, from its beginning; 204 where nothing does",
        view=resume_chat,
        answers_as=(EVENT_STREAM,),
        also=(HTTPStatus.NO_CONTENT,),
        codes=(*NOT_FOUND, ErrorCode.AGENT_NOT_FOUND, ErrorCode.AGENT_UNAVAILABLE),
    ),
    Operation(
        method="GET",
        path=_CHAT,
        text="AI SDK: the conversation so far",
        view=show_chat,
        answer=ChatAnswer,
        codes=NOT_FOUND,
    ),
    Operation(
        method="POST",
        path=f"{_CHAT}/stop",
        text="AI SDK: cancel what goes on",
        view=stop_chat,
        answer=CancelledAnswer,
        codes=NOT_FOUND,
    ),
)
