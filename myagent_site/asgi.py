"""The composition root: which application serves which kind of connection."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402 - needs the apps that the line above loads

from agents.web.late_answers import LateAnswers  # noqa: E402
from agents.web.live_answers import LiveAnswers  # noqa: E402
from agents.web.sub_path import Mounted  # noqa: E402
from sessions_app.lifespan import lifespan  # noqa: E402
from sessions_app.routing import websocket_urlpatterns  # noqa: E402

application = Mounted(
    ProtocolTypeRouter(
        {
            "http": LiveAnswers(LateAnswers(django_application)),
            "websocket": URLRouter(websocket_urlpatterns),
            "lifespan": lifespan,
        }
    )
)
