"""`GET /metrics`: told to whom, and what it says where there is nothing to tell."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from agents.access.local_user import ensure_local_user
from agents.database.threads import in_thread, stop_threads
from agents.models import AccessToken
from tests.support.http_request import ask

pytestmark = pytest.mark.database
METRICS_TOKEN = "a-token-for-prometheus-alone"


class Told:
    """Stands for what a server tells; what that is, tests of the server say."""

    error: Exception | None = None

    async def answer(self, accept):
        if self.error is not None:
            raise self.error
        return f"text/plain; accept={accept or '-'}", b"myagent_workers 1.0\n"


@pytest.fixture(autouse=True)
def database(transactional_db):
    yield
    stop_threads()


@pytest.fixture
def engine():
    return SimpleNamespace(exporter=Told())


def told(engine, **options):
    return ask(path="/metrics", state={"engine": engine}, **options)


def bearer(user, **options):
    return f"Bearer {AccessToken.objects.issue(user, 'test', **options)[1]}"


async def test_what_is_answered(engine, settings):
    settings.MYAGENT = {**settings.MYAGENT, "METRICS_TOKEN": METRICS_TOKEN}
    get = partial(told, engine, authorization=f"Bearer {METRICS_TOKEN}")
    answer = await get(accept="application/openmetrics-text")
    assert (answer.status, answer.body) == (200, b"myagent_workers 1.0\n")
    assert answer.headers["Content-Type"] == "text/plain; accept=application/openmetrics-text"
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await get(method="POST")).status == 405
    engine.exporter.error = TimeoutError("metrics.lock")
    answer = await get()
    assert (answer.status, b"other workers" in answer.body) == (503, True), "half of it would be wrong"
    engine.exporter = None
    answer = await get()
    assert (answer.status, b"pip install 'myagent[metrics]'" in answer.body) == (404, True)


async def test_strangers_get_nothing(engine, settings):
    settings.MYAGENT = {**settings.MYAGENT, "ALLOW_ANONYMOUS": True}
    await in_thread(ensure_local_user)
    for strange in (
        {"peer": "203.0.113.9"},
        {"x_forwarded_for": "127.0.0.1"},
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"authorization": "Bearer mya_wrong"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {METRICS_TOKEN}"},
    ):
        answer = await told(engine, **{"peer": "203.0.113.9"} | strange)
        assert answer.status == 403 and b"myagent_" not in answer.body, strange


async def test_the_token_for_it_opens_nothing_else(engine, settings):
    settings.MYAGENT = {**settings.MYAGENT, "METRICS_TOKEN": METRICS_TOKEN}
    shown = {"peer": "203.0.113.9", "authorization": f"Bearer {METRICS_TOKEN}"}
    assert (await told(engine, host="10.0.0.7:8080", **shown)).status == 200
    assert (await ask(**shown)).status == 401
    assert (await told(engine, peer="203.0.113.9", authorization=f"Bearer {METRICS_TOKEN[:-1]}")).status == 403


async def test_who_may_view_agents_may_read_it(engine):
    def people():
        permission = Permission.objects.get(codename="view_hostedagent")
        for name in ("ann", "ben", "eve"):
            user = User.objects.create_user(name, password="secret-9", is_superuser=name == "eve")
            if name == "ben":
                user.user_permissions.add(permission)
            yield user

    ann, ben, eve = await in_thread(lambda: list(people()))
    far = {"peer": "203.0.113.9"}
    for user, options, status in (
        (ann, {}, 403),
        (ben, {}, 200),
        (eve, {}, 200),
        (eve, {"agents": ["weather"]}, 403),
    ):
        shown = await in_thread(bearer, user, **options)
        assert (await told(engine, authorization=shown, **far)).status == status, (user, options)

    def log_in():
        client = Client()
        client.force_login(ben)
        return client.cookies["sessionid"].value

    cookie = f"sessionid={await in_thread(log_in)}"
    assert (await told(engine, cookie=cookie, sec_fetch_site="none", **far)).status == 200
    assert (await told(engine, cookie=cookie, sec_fetch_site="cross-site", **far)).status == 403
    await in_thread(lambda: User.objects.filter(pk=ben.pk).update(is_active=False))
    assert (await told(engine, cookie=cookie, sec_fetch_site="none", **far)).status == 403
