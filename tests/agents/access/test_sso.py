"""Tokens of a single sign-on: what they must be, which user they are for, and what the log says of those refused."""

from __future__ import annotations

import base64
import json
import logging
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.contrib.auth.models import User

from agents.access.decision import ConnectionRefused, authorize
from agents.access.local_user import ensure_local_user
from agents.access.sso import JWTRefused, user_of_jwt
from agents.access.system_user import SYSTEM_USERNAME, system_user
from agents.conf import Config, ConfigError, build
from agents.database.threads import in_thread, stop_threads
from agents.models import AccessToken
from myagent import i18n
from tests.agents.access.test_decision import scope
from tests.support.entries import database

SECRET = "a-secret-of-the-single-sign-on-0123456789"
NOW = int(datetime.now(UTC).timestamp())


def config(**options) -> Config:
    return Config(**{"jwt_keys": (SECRET,), **options})


def token(key=SECRET, *, algorithm="HS256", headers=None, **claims) -> str:
    given = {"sub": "ann", "exp": NOW + 3600} | claims
    present = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(present, key, algorithm=algorithm, headers=headers)


def pem(key) -> str:
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, public).decode()


def private_pem(key) -> str:
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, kind, plain).decode()


RSA, OTHER_RSA = (rsa.generate_private_key(65537, 2048) for _ in range(2))
KEYS = {"RS256": RSA, "ES256": ec.generate_private_key(ec.SECP256R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate()}

pytestmark = database


@pytest.fixture(autouse=True)
def in_english(monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")


@pytest.fixture
def ann():
    return User.objects.create_user("ann")


# --- which tokens count -----------------------------------------------------------------------------------------------


def test_a_token_names_its_user_and_its_end(ann):
    user, until = user_of_jwt(token(), config(jwt_leeway_seconds=5))
    assert user == ann
    assert until == datetime.fromtimestamp(NOW + 3605, UTC)


@pytest.mark.parametrize("algorithm", sorted(KEYS))
def test_a_public_key_is_enough(ann, algorithm):
    options = {"jwt_keys": (pem(KEYS[algorithm]),), "jwt_algorithm": algorithm}
    assert user_of_jwt(token(KEYS[algorithm], algorithm=algorithm), config(**options))[0] == ann


def unsigned(**claims) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": "ann", "exp": NOW + 3600} | claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def signed_with_the_public_key() -> str:
    """The classic: the public key, which everybody has, taken for the secret of HS256."""
    header, body = unsigned().split(".")[:2]
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    signature = jwt.get_algorithm_by_name("HS256").sign(f"{header}.{body}".encode(), pem(RSA).encode())
    return f"{header}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


BY_RSA = {"jwt_keys": (pem(RSA),), "jwt_algorithm": "RS256"}


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        (token(exp=NOW - 60), {}, "expired"),
        (token(exp=None), {}, "exp"),
        (token(exp="soon"), {}, "exp"),
        (token(exp=10**20), {}, "later than a date"),
        (token(nbf=NOW + 3000), {}, "not yet valid"),
        (token("another-secret-of-at-least-32-bytes!!"), {}, "none of JWT_KEYS"),
        (token(algorithm="HS512", key=SECRET * 2), {"jwt_keys": (SECRET * 2,)}, "alg"),
        (unsigned(), {}, "alg"),
        (unsigned(), BY_RSA, "alg"),
        (signed_with_the_public_key(), BY_RSA, "alg"),
        (token(OTHER_RSA, algorithm="RS256"), BY_RSA, "none of JWT_KEYS"),
        (token(iss="https://evil.example"), {"jwt_issuer": "https://sso.example"}, "issuer"),
        (token(), {"jwt_issuer": "https://sso.example"}, "iss"),
        (token(aud="another application"), {"jwt_audience": "myagent"}, "udience"),
        (token(), {"jwt_audience": "myagent"}, "aud"),
        (token(aud="myagent"), {}, "udience"),
        (token(), {"jwt_username_claim": "email"}, "email"),
        (token(sub=None), {}, "sub"),
        ("no.jwt.atall", {}, "not valid"),
        ("", {}, "not valid"),
        ("a" * 10_000, {}, "not valid"),
    ],
    # What holds the time must not name a test: every worker has to find the same ones.
    ids=lambda value: "token" if isinstance(value, str) and len(value) > 40 else None,
)
def test_what_does_not_count(ann, text, options, why):
    with pytest.raises(JWTRefused, match=why) as refused:
        user_of_jwt(text, config(**options))
    assert not text or text not in str(refused.value)


def test_everything_that_is_asked_for_together(ann):
    options = {"jwt_issuer": "https://sso.example", "jwt_audience": "myagent", "jwt_username_claim": "login"}
    good = token(iss="https://sso.example", aud=["other", "myagent"], login="ann", sub="4711")
    assert user_of_jwt(good, config(**options))[0] == ann


def test_clocks_may_differ_a_little(ann):
    late = token(exp=int(datetime.now(UTC).timestamp()) - 5)  # NOW is when the tests were collected
    assert user_of_jwt(late, config(jwt_leeway_seconds=60))[0] == ann
    with pytest.raises(JWTRefused, match="expired"):
        user_of_jwt(late, config(jwt_leeway_seconds=0))


def test_an_older_key_counts_while_it_is_listed(ann):
    old = token()
    new = "the-new-secret-of-the-single-sign-on-012345"
    assert user_of_jwt(old, config(jwt_keys=(new, SECRET)))[0] == ann
    assert user_of_jwt(token(new), config(jwt_keys=(new, SECRET)))[0] == ann
    with pytest.raises(JWTRefused):
        user_of_jwt(old, config(jwt_keys=(new,)))


# --- which users ------------------------------------------------------------------------------------------------------


def test_an_unknown_user_is_made_only_if_that_is_allowed():
    with pytest.raises(JWTRefused, match="JWT_CREATE_USERS"):
        user_of_jwt(token(), config())
    assert not User.objects.exists()
    user, _ = user_of_jwt(token(), config(jwt_create_users=True))
    assert user_of_jwt(token(), config(jwt_create_users=True))[0] == user
    user.refresh_from_db()
    assert (user.username, user.is_staff, user.is_superuser, user.has_usable_password()) == ("ann", False, False, False)


def test_an_inactive_user_stays_out(ann):
    User.objects.update(is_active=False)
    for create in (False, True):
        with pytest.raises(JWTRefused, match="not active"):
            user_of_jwt(token(), config(jwt_create_users=create))


@pytest.mark.parametrize(
    "name",
    ["", " ", " ann", "ann ", "a" * 151, "a\nb", "a\x00b", "\u202eann", "ａnn", "e\u0301", 7, None, ["ann"], {"a": 1}],
)
def test_names_that_are_none(name):
    """Among them those that look like another name, or become it when they are stored."""
    with pytest.raises(JWTRefused):
        user_of_jwt(token(login=name, sub="x"), config(jwt_create_users=True, jwt_username_claim="login"))
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "name",
    [
        "ann@example.org",
        "安娜",
        "Ann O'Neill",
        "auth0|4711",
        "'; DROP TABLE auth_user; --",
        "../../etc/passwd",
        "<script>alert(1)</script>",
    ],
)
def test_odd_names_are_names(name):
    assert user_of_jwt(token(sub=name), config(jwt_create_users=True))[0].username == name


def test_the_servers_own_users_cannot_come_from_elsewhere():
    ensure_local_user()
    system_user()
    for name in ("local", SYSTEM_USERNAME):
        with pytest.raises(JWTRefused, match="own"):
            user_of_jwt(token(sub=name), config(jwt_create_users=True))


# --- the configuration ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "algorithm", "why"),
    [
        (["short"], "HS256", "32 bytes"),
        (["x" * 63], "HS512", "64 bytes"),
        ([pem(RSA)], "HS256", "no key for HS256"),
        ([SECRET], "RS256", "no key for RS256"),
        ([private_pem(RSA)], "RS256", "private key"),
        ([pem(KEYS["ES256"])], "RS256", "no key for RS256"),
        ([pem(RSA), "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"], "RS256", "no key for RS256"),
        ([SECRET], "none", "JWT_ALGORITHM"),
        ([SECRET], "hs256", "JWT_ALGORITHM"),
        (SECRET, "HS256", "list"),
    ],
)
def test_a_key_that_does_not_fit_is_a_mistake_at_the_start(keys, algorithm, why):
    with pytest.raises(ConfigError, match=why) as error:
        build({"JWT_KEYS": keys, "JWT_ALGORITHM": algorithm})
    for key in [keys] if isinstance(keys, str) else keys:
        assert len(key) < 10 or key[:10] not in str(error.value) or "BEGIN" in key


def test_the_configuration_shows_no_secret():
    assert SECRET not in repr(config())


# --- at the door ------------------------------------------------------------------------------------------------------


@pytest.fixture
def door(transactional_db):
    yield User.objects.create_user("ann")
    stop_threads()


@pytest.mark.django_db(transaction=True)
async def test_a_token_lets_in_like_one_of_ours(door, caplog):
    text = token()
    for facts in ({"query": f"token={text}"}, {"authorization": f"Bearer {text}"}):
        grant = await authorize(scope(peer="8.8.8.8", origin="https://app.example", **facts), config())
        assert (grant.kind, grant.username, grant.agents) == ("jwt", "ann", None)
        assert grant.expires_at == datetime.fromtimestamp(NOW + 3610, UTC)
    with pytest.raises(ConnectionRefused) as without_sso:
        await authorize(scope(query=f"token={text}"), Config())
    with caplog.at_level(logging.WARNING), pytest.raises(ConnectionRefused) as expired:
        await authorize(scope(query=f"token={token(exp=NOW - 60)}"), config())
    # The client learns that it is no good, the log why.
    assert {(error.value.close_code, error.value.code) for error in (without_sso, expired)} == {(4401, "invalid_token")}
    assert "Signature has expired" in caplog.text
    assert text[:20] not in caplog.text


@pytest.mark.django_db(transaction=True)
async def test_our_own_tokens_go_on_to_work(door):
    _, plaintext = await in_thread(AccessToken.objects.issue, door, "laptop")
    assert (await authorize(scope(query=f"token={plaintext}"), config())).kind == "token"
