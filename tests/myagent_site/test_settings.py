"""What the environment makes of the settings, the data folder, and the pages that they serve."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone

from agents.database.data_folder import lock, make_data_folder, read_secret
from agents.models import AccessToken, HostedAgent
from agents.web import chat_page
from agents.web.middleware import TrustedProxies
from myagent import i18n
from myagent_site import environment
from tests.support import forked
from tests.support.paths import ROOT


@pytest.fixture
def client():
    """Django's own, in place of the WebSocket client of most other tests."""
    return Client()


SHOW = """
import json
from myagent_site import settings
names = [name for name in dir(settings) if name.isupper() and name not in ("LANGUAGES", "LOGGING")]
print(json.dumps({name: getattr(settings, name) for name in names}, default=str))
"""


def settings_for(folder, dotenv="", **extra):
    """The settings as another process reads them from this environment and this `.env`."""
    (folder / ".env").write_text(dotenv)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    result = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **extra},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(result.stdout)


def test_an_empty_environment(tmp_path):
    found = settings_for(tmp_path)
    assert found["DEBUG"] is False
    assert found["LANGUAGE_CODE"] == "zh-hans"
    assert found["CHANNEL_LAYERS"] == {}
    assert set(found["ALLOWED_HOSTS"]) == {"localhost", ".localhost", "127.0.0.1", "[::1]"}
    assert found["MYAGENT"]["EMBEDDED_DATABASE"] is True
    assert found["MYAGENT"]["ALLOWED_HOSTS"] == []
    folder = tmp_path / ".myagent"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600
    database = found["DATABASES"]["default"]
    assert database["NAME"] == str(folder / "myagent.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "synchronous=FULL" in database["OPTIONS"]["init_command"]
    assert database["CONN_MAX_AGE"] is None


@pytest.mark.parametrize(
    ("given", "telemetry"),
    [
        ({}, "off"),
        ({"OTEL_SERVICE_NAME": "x"}, "off"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "otlp-grpc"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, "off"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
    ],
)
def test_opentelemetry_is_set_up_by_its_own_variables(tmp_path, given, telemetry):
    assert settings_for(tmp_path, **given)["MYAGENT"]["TELEMETRY"] == telemetry


def test_the_secret_stays_the_same(tmp_path):
    first = settings_for(tmp_path)["SECRET_KEY"]
    assert len(first) >= 50
    assert settings_for(tmp_path)["SECRET_KEY"] == first
    assert settings_for(tmp_path, MYAGENT_SECRET_KEY="given")["SECRET_KEY"] == "given"


def test_earlier_secrets_are_a_list(tmp_path):
    assert settings_for(tmp_path)["SECRET_KEY_FALLBACKS"] == []
    found = settings_for(tmp_path, MYAGENT_SECRET_KEY="new", MYAGENT_SECRET_KEY_FALLBACKS="old,older")
    assert (found["SECRET_KEY"], found["SECRET_KEY_FALLBACKS"]) == ("new", ["old", "older"])


def test_dotenv_counts_as_environment_and_the_environment_wins(tmp_path):
    dotenv = "MYAGENT_LANGUAGE=en\nMYAGENT_AGENTS=a.py,b.py\n"
    found = settings_for(tmp_path, dotenv)
    assert found["LANGUAGE_CODE"] == found["MYAGENT"]["LANGUAGE"] == "en"
    assert found["MYAGENT"]["AGENTS"] == ["a.py", "b.py"]
    assert settings_for(tmp_path, dotenv, MYAGENT_LANGUAGE="zh_CN.UTF-8")["LANGUAGE_CODE"] == "zh-hans"


def test_postgresql_uses_a_pool(tmp_path):
    found = settings_for(tmp_path, DATABASE_URL="postgres://ann:s%40crt@db.example:5433/team")
    database = found["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["HOST"], database["PORT"], database["PASSWORD"]) == ("db.example", 5433, "s@crt")
    assert database["OPTIONS"]["pool"]["max_size"] >= 8
    assert database["CONN_MAX_AGE"] == 0
    assert database["CONN_HEALTH_CHECKS"], "a restart of the server leaves broken connections in the pool"
    assert database["OPTIONS"]["pool"]["reconnect_timeout"] < database["OPTIONS"]["pool"]["timeout"] <= 5
    assert found["MYAGENT"]["EMBEDDED_DATABASE"] is False


def test_postgresql_through_a_socket(tmp_path):
    found = settings_for(tmp_path, DATABASE_URL="postgres://%2Fvar%2Frun%2Fpostgresql/team")
    assert found["DATABASES"]["default"]["HOST"] == "/var/run/postgresql"


def test_another_sqlite_file_is_opened_as_carefully(tmp_path):
    database = settings_for(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/team.db")["DATABASES"]["default"]
    assert database["NAME"] == f"{tmp_path}/team.db"
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_redis_brings_the_layer_that_does_not_lose_its_consumers(tmp_path):
    layer = settings_for(tmp_path, REDIS_URL="redis://r.example:6379/1")["CHANNEL_LAYERS"]["default"]
    assert layer["BACKEND"] == "channels_redis.pubsub.RedisPubSubChannelLayer"
    assert layer["CONFIG"] == {"hosts": ["redis://r.example:6379/1"]}


def test_hosts_and_proxies(tmp_path):
    found = settings_for(tmp_path, ALLOWED_HOSTS="a.example,b.example", MYAGENT_TRUSTED_PROXIES="10.0.0.0/8")
    assert found["ALLOWED_HOSTS"] == found["MYAGENT"]["ALLOWED_HOSTS"] == ["a.example", "b.example"]
    assert found["MYAGENT"]["TRUSTED_PROXIES"] == ["10.0.0.0/8"]
    assert found["USE_X_FORWARDED_HOST"] is True


def test_a_public_url_is_all_that_tls_needs(tmp_path):
    found = settings_for(tmp_path, MYAGENT_PUBLIC_URL="https://Agents.example.com:8443/chat/")
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://agents.example.com:8443"]
    assert found["MYAGENT"]["PUBLIC_URL"] == "https://Agents.example.com:8443/chat/"
    assert found["SESSION_COOKIE_SECURE"] and found["CSRF_COOKIE_SECURE"]
    assert found["SECURE_HSTS_SECONDS"] > 0
    assert "SECURE_HSTS_INCLUDE_SUBDOMAINS" not in found
    assert found["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert found["USE_X_FORWARDED_HOST"] is False


def test_a_public_url_without_tls_demands_none(tmp_path):
    found = settings_for(tmp_path, MYAGENT_PUBLIC_URL="http://box.lan:8080")
    assert found["CSRF_TRUSTED_ORIGINS"] == ["http://box.lan:8080"]
    assert not {"SESSION_COOKIE_SECURE", "SECURE_HSTS_SECONDS", "SECURE_PROXY_SSL_HEADER"} & found.keys()


def test_the_deploy_check_needs_nothing_but_a_public_url(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MYAGENT_", "DJANGO_"))}
    environment |= {"MYAGENT_PUBLIC_URL": "https://agents.example.com/chat", "MYAGENT_LANGUAGE": "en"}
    command = [sys.executable, str(ROOT / "manage.py"), "check", "--deploy", "--fail-level", "INFO"]
    done = forked.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout


@pytest.fixture
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


@pytest.mark.parametrize(
    "url",
    ["agents.example.com", "//agents.example.com", "ftp://a.example", "https://", "https://a b/", "https://u@a.example"]
    + [f"https://a.example{rest}" for rest in ("/?x=1", "/#x", "/a//b", "/a/../b", "/ä", ":port/")],
)
def test_what_is_no_public_url_is_told_what_one_looks_like(in_english, url):
    with pytest.raises(ImproperlyConfigured, match=r"MYAGENT_PUBLIC_URL .*https://agents\.example\.com/chat"):
        environment.public_url(url)


@pytest.mark.parametrize("url", ["nonsense", "foo://x", "mysql://u:p@h/x", "postgres://h:port/x", ":", "5"])
def test_what_is_no_database_is_told_what_one_looks_like(in_english, url):
    with pytest.raises(ImproperlyConfigured, match=r"DATABASE_URL .*postgres://user:password@localhost:5432/myagent"):
        environment.database(url, Path("x"))


def test_postgresql_without_its_driver(in_english, monkeypatch):
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match="pip install 'psycopg"):
        environment.database("postgres://h/x", Path("x"))


@pytest.mark.parametrize("url", ["nonsense", "http://r.example", "r.example:6379"])
def test_what_is_no_redis_is_told_what_one_looks_like(in_english, url):
    with pytest.raises(ImproperlyConfigured, match=r"REDIS_URL .*redis://localhost:6379/0"):
        environment.redis(url)


@pytest.mark.parametrize("url", ["", "redis://r:6379/0", "rediss://u:p@r/1", "unix:///run/redis.sock"])
def test_a_redis_is_left_as_it_is(url):
    assert environment.redis(url) == url


@pytest.mark.parametrize(("name", "zone"), [("", "UTC"), ("Asia/Shanghai", "Asia/Shanghai"), ("UTC", "UTC")])
def test_a_time_zone(name, zone):
    assert environment.time_zone(name) == zone


@pytest.mark.parametrize("name", ["Nowhere/City", "America", "../x", "CST-8"])
def test_what_is_no_time_zone_is_told_what_one_looks_like(in_english, name):
    with pytest.raises(ImproperlyConfigured, match="Asia/Shanghai"):
        environment.time_zone(name)


def test_an_unknown_language_is_told_the_known_ones(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")
    with pytest.raises(ImproperlyConfigured, match="'fr'.*zh-hans, en"):
        environment.language("fr")
    assert i18n._language == "en"


def test_a_data_folder_that_cannot_be_made_or_read(in_english, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ImproperlyConfigured, match=r"file cannot be made: .+\n   .*MYAGENT_DATA_DIR"):
        environment.data_folder(str(tmp_path / "file"))
    (tmp_path / "secret").mkdir()
    with pytest.raises(ImproperlyConfigured, match=r"The secret .+ cannot be read .+\n   .*MYAGENT_DATA_DIR"):
        environment.secret(tmp_path)


# --- the data folder --------------------------------------------------------------------------------------------------


def test_one_secret_for_all_who_start_at_once(tmp_path):
    folder = make_data_folder(tmp_path / "data")
    start = threading.Barrier(8)
    found = []

    def read():
        start.wait()
        found.append(read_secret(folder))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [file.name for file in folder.iterdir()] == ["secret"]


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    import sqlite3

    with lock(tmp_path, "x"), pytest.raises(sqlite3.OperationalError), lock(tmp_path, "x", timeout=0):
        raise AssertionError("two hold one lock")
    with lock(tmp_path, "x", timeout=0):
        pass


# --- pages ------------------------------------------------------------------------------------------------------------


def test_the_first_page_tells_nothing_secret(client):
    answer = client.get("/")
    assert json.loads(re.search(r'"application/json">(.*?)</script>', answer.content.decode())[1]) == {
        "title": "MyAgent",
        "logo": "",
        "root": "/",
    }  # the same for everybody
    assert "ws://testserver;" in answer.headers["content-security-policy"]
    assert not answer.cookies


def test_health_asks_no_database(client):
    assert client.get("/healthz").json() == {"status": "ok"}


def test_without_an_engine_nothing_is_stored(client, caplog):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "error")


@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("server closed the connection"), 503), (ValueError("a bug"), 500)]
)
def test_a_page_that_needs_the_database_says_that_it_is_away(client, monkeypatch, in_english, caplog, error, status):
    def fail(_request):
        raise error

    monkeypatch.setattr(chat_page, "respond", fail)
    client.raise_request_exception = False
    answer = client.get("/")
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, "5" if status == 503 else None)
    assert ("does not answer at the moment; please try again" in answer.content.decode()) is (status == 503)


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_pages_are_only_read(client, path):
    assert client.post(path).status_code == 405


@pytest.mark.parametrize(("peer", "kept"), [("10.1.2.3", True), ("11.1.2.3", False), ("", False)])
def test_forwarding_headers_count_only_from_trusted_proxies(peer, kept):
    seen = []
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_HOST="h")
    with override_settings(MYAGENT={"TRUSTED_PROXIES": ["10.0.0.0/8"]}):
        TrustedProxies(lambda request: seen.append(request.META))(request)
    assert ("HTTP_X_FORWARDED_PROTO" in seen[0]) is kept
    assert ("HTTP_X_FORWARDED_HOST" in seen[0]) is kept


# --- admin ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def staff(db):
    client = Client(headers={"accept-language": "en"})
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_tokens_are_shown_without_their_hash_and_can_be_revoked(staff):
    token, plaintext = AccessToken.objects.issue(User.objects.get(), "laptop")
    for path in ("/admin/agents/accesstoken/", f"/admin/agents/accesstoken/{token.pk}/change/"):
        page = staff.get(path).content.decode()
        assert "laptop" in page
        assert token.token_hash not in page
        assert plaintext not in page
    staff.post("/admin/agents/accesstoken/", {"action": "revoke", "_selected_action": [token.pk]})
    assert not AccessToken.objects.usable(timezone.now()).exists()


def test_an_agent_can_be_switched_off_and_not_be_renamed(staff):
    agent = HostedAgent.objects.create(name="a", source="a.py")
    path = f"/admin/agents/hostedagent/{agent.pk}/change/"
    assert "a.py" in staff.get(path).content.decode()
    assert staff.post(path, {"name": "b", "max_runs": "3"}).status_code == 302
    agent.refresh_from_db()
    assert (agent.name, agent.enabled, agent.max_runs) == ("a", False, 3)
    assert staff.get("/admin/agents/hostedagent/").status_code == 200
    assert staff.get("/admin/agents/hostedagent/add/").status_code == 403
