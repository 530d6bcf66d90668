"""Where WebSocket connections go."""

from django.urls import path, re_path

from sessions_app.connection.consumer import AgentConsumer
from sessions_app.connection.unknown_path import UnknownPath

consumer = AgentConsumer.as_asgi()

websocket_urlpatterns = [
    path("", consumer),
    path("ws/", consumer),
    path("ws", consumer),
    path("ws/<str:agent>/", consumer),
    path("ws/<str:agent>", consumer),
    re_path(r"", UnknownPath.as_asgi()),
]
