"""The addresses behind `/v1/`: each with a slash at the end, and without."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

from agents.web.api_errors import ApiRefused
from myagent.i18n import gettext as _
from sessions_app.web.api_operations import both_ways
from sessions_app.web.openai_door.completions.completion_views import create_completion
from sessions_app.web.openai_door.door_view import door_view
from sessions_app.web.openai_door.model_views import list_models, show_model
from sessions_app.web.openai_door.responses import conversation_views as conversations
from sessions_app.web.openai_door.responses import response_views as responses


@door_view("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
async def unknown_path(request: HttpRequest) -> HttpResponse:
    """The view for what of OpenAI's API there is not."""
    words = _(
        "There is nothing at this address. What there is: /v1/models, /v1/chat/completions, /v1/responses and "
        "/v1/conversations"
    )
    raise ApiRefused(HTTPStatus.NOT_FOUND, "not_found", words)


urlpatterns = [
    *both_ways("models", list_models),
    *both_ways("models/<path:name>", show_model),
    *both_ways("chat/completions", create_completion),
    *both_ways("responses", responses.create_response),
    *both_ways("responses/<str:name>", responses.one_response),
    *both_ways("responses/<str:name>/cancel", responses.cancel_response),
    *both_ways("responses/<str:name>/input_items", responses.input_items),
    *both_ways("conversations", conversations.create_conversation),
    *both_ways("conversations/<str:name>", conversations.one_conversation),
    *both_ways("conversations/<str:name>/items", conversations.conversation_items),
]
