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
from django.contrib.auth.models import Group, User

from agents.access.decision import ConnectionRefused, authorize
from agents.access.local_user import ensure_local_user
from agents.access.look_alikes import skeleton
from agents.access.sso import JWTRefused, signed_on
from agents.access.system_user import DELETED_USERNAME, SYSTEM_USERNAME, system_user
from agents.conf import Config, build
from agents.database.threads import in_thread, stop_threads
from agents.models import AccessToken, SsoIdentity
from agents.setting_values import ConfigError
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


def linked(username: str, *, issuer: str = "", subject: str | None = None) -> User:
    """A user whose identity an administrator linked."""
    user = User.objects.create_user(username)
    SsoIdentity.objects.create(issuer=issuer, subject=subject or username, user=user)
    return user


@pytest.fixture
def ann():
    return linked("ann")


# --- which tokens count -----------------------------------------------------------------------------------------------


def test_a_token_names_its_user_and_its_end(ann):
    user, _, until = signed_on(token(), config(jwt_leeway_seconds=5))
    assert user == ann
    assert until == datetime.fromtimestamp(NOW + 3605, UTC)


@pytest.mark.parametrize("algorithm", sorted(KEYS))
def test_a_public_key_is_enough(ann, algorithm):
    options = {"jwt_keys": (pem(KEYS[algorithm]),), "jwt_algorithm": algorithm}
    assert signed_on(token(KEYS[algorithm], algorithm=algorithm), config(**options))[0] == ann


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
        (token(exp=10**20), {}, "a date can be"),
        (token(nbf=NOW + 3000), {}, "not yet valid"),
        (token("another-secret-of-at-least-32-bytes!!"), {}, "none of the keys"),
        (token(algorithm="HS512", key=SECRET * 2), {"jwt_keys": (SECRET * 2,)}, "alg"),
        (unsigned(), {}, "alg"),
        (unsigned(), BY_RSA, "alg"),
        (signed_with_the_public_key(), BY_RSA, "alg"),
        (token(OTHER_RSA, algorithm="RS256"), BY_RSA, "none of the keys"),
        (token(iss="https://evil.example"), {"jwt_issuer": "https://sso.example"}, "issuer"),
        (token(), {"jwt_issuer": "https://sso.example"}, "iss"),
        (token(aud="another application"), {"jwt_audience": "myagent"}, "udience"),
        (token(), {"jwt_audience": "myagent"}, "aud"),
        (token(aud="myagent"), {}, "udience"),
        (token(), {"jwt_username_claim": "email"}, "email"),
        (token(sub=None), {}, "sub"),
        (token(sub=""), {}, "sub"),
        (token(sub="a\x00b"), {}, "sub"),
        (token(sub="a" * 256), {}, "sub"),
        (token(iss="i" * 256), {}, "iss"),
        (token(exp=NOW + 90_000), {}, "MAX_AGE"),
        (token(iat=NOW - 90_000), {}, "MAX_AGE"),
        (token(iat=-(10**20)), {}, "a date can be"),
        (token(iat=NOW + 3000), {}, "iat"),
        ("no.jwt.atall", {}, "not valid"),
        ("", {}, "not valid"),
        ("a" * 10_000, {}, "not valid"),
    ],
    # What holds the time must not name a test: every worker has to find the same ones.
    ids=lambda value: "token" if isinstance(value, str) and len(value) > 40 else None,
)
def test_what_does_not_count(ann, text, options, why):
    with pytest.raises(JWTRefused, match=why) as refused:
        signed_on(text, config(**options))
    assert not text or text not in str(refused.value)


def test_everything_that_is_asked_for_together():
    ann = linked("ann", issuer="https://sso.example", subject="4711")
    options = {"jwt_issuer": "https://sso.example", "jwt_audience": "myagent", "jwt_username_claim": "login"}
    good = token(iss="https://sso.example", aud=["other", "myagent"], login="anna", sub="4711")
    assert signed_on(good, config(**options))[0] == ann


def test_clocks_may_differ_a_little(ann):
    late = token(exp=int(datetime.now(UTC).timestamp()) - 5)  # NOW is when the tests were collected
    assert signed_on(late, config(jwt_leeway_seconds=60))[0] == ann
    with pytest.raises(JWTRefused, match="expired"):
        signed_on(late, config(jwt_leeway_seconds=0))


def test_an_older_key_counts_while_it_is_listed(ann):
    old = token()
    new = "the-new-secret-of-the-single-sign-on-012345"
    assert signed_on(old, config(jwt_keys=(new, SECRET)))[0] == ann
    assert signed_on(token(new), config(jwt_keys=(new, SECRET)))[0] == ann
    with pytest.raises(JWTRefused):
        signed_on(old, config(jwt_keys=(new,)))


# --- which users ------------------------------------------------------------------------------------------------------


def test_an_unknown_user_is_made_only_if_that_is_allowed():
    with pytest.raises(JWTRefused, match="JWT_CREATE_USERS"):
        signed_on(token(), config())
    assert not User.objects.exists()
    user, *_ = signed_on(token(), config(jwt_create_users=True))
    assert signed_on(token(), config())[0] == user
    user.refresh_from_db()
    assert (user.username, user.is_staff, user.is_superuser, user.has_usable_password()) == ("ann", False, False, False)


@pytest.mark.parametrize("create", [False, True])
def test_a_name_links_nothing(create):
    """An account of that name may be anybody's: only an administrator says that it is this person's."""
    boss = User.objects.create_superuser("ann")
    options = config(jwt_create_users=create)
    for _ in range(2):
        with pytest.raises(JWTRefused, match="administrator"):
            signed_on(token(), options)
    waiting = SsoIdentity.objects.get()
    assert (waiting.subject, waiting.claimed_name, waiting.user) == ("ann", "ann", None)
    waiting.user = boss
    waiting.save()
    assert signed_on(token(), options)[0] == boss


def test_a_person_is_who_the_issuer_says_and_not_their_name():
    options = config(jwt_create_users=True, jwt_username_claim="login")
    ann, *_ = signed_on(token(sub="1", login="ann"), options)
    assert signed_on(token(sub="1", login="ann-married"), options)[0] == ann
    assert User.objects.count() == 1
    for stranger in ({"sub": "2", "login": "ann"}, {"sub": "1", "login": "ann", "iss": "https://other.example"}):
        with pytest.raises(JWTRefused, match="looks like that of the user 'ann'"):
            signed_on(token(**stranger), options)


def test_a_user_who_is_deleted_is_unlinked():
    options = config(jwt_create_users=True)
    signed_on(token(), options)[0].delete()
    assert not SsoIdentity.objects.exists()
    with pytest.raises(JWTRefused, match="linked to no user"):
        signed_on(token(), config())


def test_one_who_comes_twice_at_once_is_one_user(monkeypatch):
    """The other connection makes the user between the look and the row."""

    def first(name, config):
        linked("ann")

    monkeypatch.setattr("agents.access.sso._obstacle", first)
    assert signed_on(token(), config(jwt_create_users=True))[0] == User.objects.get()


@pytest.mark.parametrize(
    "name", ["Ann", "ANN", "аnn", "аnп", "ánn", "Åñn", "ann\u200b", " ann", "ａｎｎ", "a\u0301nn", "ⓐnn"]
)
def test_a_name_that_looks_like_one_that_is_taken_is_not_made(name):
    User.objects.create_user("ann")
    with pytest.raises(JWTRefused):
        signed_on(
            token(sub=name.strip("\u200b"), login=name), config(jwt_create_users=True, jwt_username_claim="login")
        )
    assert User.objects.count() == 1


@pytest.mark.parametrize(("one", "other"), [("Bill", "Bi11"), ("IO", "l0"), ("modern", "modem"), ("сосо", "coco")])
def test_pairs_that_look_alike(one, other):
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), [("ann", "anna"), ("安娜", "安妮"), ("иван", "петр"), ("bob", "rob")])
def test_pairs_that_do_not(one, other):
    assert skeleton(one) != skeleton(other)


def test_a_token_ends_no_later_than_its_longest_age_allows(ann):
    now = int(datetime.now(UTC).timestamp())
    for exp, ends in ((now + 3600, now + 510), (now + 100, now + 110)):
        *_, until = signed_on(token(iat=now - 500, exp=exp), config(jwt_max_age_seconds=1000))
        assert until == datetime.fromtimestamp(ends, UTC)


def test_an_inactive_user_stays_out(ann):
    User.objects.update(is_active=False)
    for create in (False, True):
        with pytest.raises(JWTRefused, match="not active"):
            signed_on(token(), config(jwt_create_users=create))


@pytest.mark.parametrize(
    "name",
    ["", " ", "a" * 151, "a\nb", "a\x00b", "\u202eann", 7, None, ["ann"], {"a": 1}],
)
def test_names_that_are_none(name):
    with pytest.raises(JWTRefused):
        signed_on(token(login=name, sub="x"), config(jwt_create_users=True, jwt_username_claim="login"))
    assert not User.objects.exists()


@pytest.mark.parametrize(("name", "made"), [(" ann", "ann"), ("ａnn", "ann"), ("e\u0301va", "éva")])
def test_a_name_is_made_in_its_normal_form(name, made):
    options = config(jwt_create_users=True, jwt_username_claim="login")
    assert signed_on(token(login=name), options)[0].username == made


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
    assert signed_on(token(sub=name), config(jwt_create_users=True))[0].username == name


def test_the_servers_own_users_cannot_come_from_elsewhere():
    ensure_local_user()
    system_user()
    for name in ("local", SYSTEM_USERNAME, DELETED_USERNAME):
        with pytest.raises(JWTRefused, match="own"):
            signed_on(token(sub=name), config(jwt_create_users=True))


# --- groups -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("groups", {"groups": ["staff", "chess"]}),
        ("realm_access.roles", {"realm_access": {"roles": ["staff"]}}),
        ("https://example.org/groups", {"https://example.org/groups": "staff"}),
    ],
)
def test_a_claim_puts_people_in_the_groups_that_are_mapped(ann, path, claims):
    for name in ("team", "others", "chess"):
        ann.groups.add(Group.objects.create(name=name))
    ann.groups.remove(Group.objects.get(name="team"))
    options = config(jwt_groups={"staff": "team", "admins": "others"}, jwt_groups_claim=path)
    signed_on(token(**claims), options)
    # What is not mapped is not touched: it was given here.
    assert set(ann.groups.values_list("name", flat=True)) == {"team", "chess"}
    signed_on(token(), options)
    assert set(ann.groups.values_list("name", flat=True)) == {"chess"}


@pytest.mark.parametrize("claim", [7, {"staff": True}, [["staff"], 7, None], None])
def test_a_claim_of_another_form_is_no_membership(ann, claim):
    Group.objects.create(name="team")
    signed_on(token(groups=claim), config(jwt_groups={"staff": "team"}))
    assert not ann.groups.exists()


def test_a_mapped_group_that_is_not_there_is_told(ann, caplog):
    signed_on(token(groups=["staff"]), config(jwt_groups={"staff": "teem"}))
    assert "JWT_GROUPS names groups that do not exist: teem" in caplog.text


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


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"JWT_JWKS_URL": "http://sso.example/keys"}, "https://"),
        ({"JWT_JWKS_URL": "file:///etc/keys"}, "https://"),
        ({"JWT_JWKS_URL": "sso.example"}, "https://"),
        ({"JWT_JWKS_URL": "https://sso.example/keys", "JWT_ALGORITHM": "HS256"}, "public keys"),
        ({"JWT_GROUPS": ["staff"]}, "dict"),
        ({"JWT_GROUPS": {"staff": 7}}, "dict"),
    ],
)
def test_other_mistakes_at_the_start(options, why):
    with pytest.raises(ConfigError, match=why):
        build({"JWT_ALGORITHM": "RS256", **options})


def test_the_configuration_shows_no_secret():
    assert SECRET not in repr(config())


# --- at the door ------------------------------------------------------------------------------------------------------


@pytest.fixture
def door(transactional_db):
    yield linked("ann")
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
