"""Keys that are fetched from the single sign-on: renewed as it changes them, and kept while it is away."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from agents.access import jwks
from agents.access.jwks import KeySource, signing_keys
from agents.access.sso import JWTRefused, signed_on
from agents.conf import Config
from tests.agents.access.test_sso import linked, token
from tests.support.entries import database

pytestmark = database
OLD, NEW = (rsa.generate_private_key(65537, 2048) for _ in range(2))
SECRET = {"kty": "oct", "kid": "old", "k": base64.urlsafe_b64encode(b"x" * 32).decode()}


def published(key, name: str) -> dict[str, str]:
    return {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": name, "use": "sig"}


class SignOn(HTTPServer):
    """A single sign-on that publishes `keys`, or answers `status`."""

    keys: list[dict[str, str]] = [published(OLD, "old")]
    status = 200
    asked = 0


class Handler(BaseHTTPRequestHandler):
    server: SignOn

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": self.server.keys}).encode())

    def log_message(self, *args) -> None:
        """Silent."""


@pytest.fixture
def sign_on():
    with SignOn(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url(server: SignOn) -> str:
    return f"http://127.0.0.1:{server.server_port}/keys"


def signed(key=OLD, name: str | None = "old") -> str:
    return token(key, algorithm="RS256", headers=None if name is None else {"kid": name})


@pytest.mark.parametrize("name", ["old", None])
async def test_a_token_is_checked_with_the_key_that_it_names(sign_on, name, monkeypatch):
    config = Config(jwt_jwks_url=url(sign_on), jwt_algorithm="RS256")
    for _ in range(5):
        assert len(await signing_keys(signed(name=name), config)) == 1
    assert sign_on.asked == 1


def test_who_signs_with_the_published_key_gets_in_and_others_do_not(sign_on):
    ann, source = linked("ann"), KeySource(url(sign_on))
    config = Config(jwt_jwks_url=url(sign_on), jwt_algorithm="RS256")
    assert signed_on(signed(), config, source.keys_for(signed())).user == ann
    for forged in (signed(NEW), signed(NEW, "unknown"), token("x" * 32, headers={"kid": "old"}), "no.jwt.atall"):
        with pytest.raises(JWTRefused):
            signed_on(forged, config, source.keys_for(forged))


def test_a_published_secret_or_key_of_another_kind_checks_nothing(sign_on):
    linked("ann")
    curve = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    config = Config(jwt_jwks_url=url(sign_on), jwt_algorithm="RS256")
    for kind in (SECRET, {**curve, "kid": "old", "use": "sig"}):
        sign_on.keys = [kind]
        with pytest.raises(JWTRefused):
            signed_on(signed(), config, KeySource(url(sign_on)).keys_for(signed()))


def test_a_new_key_is_fetched_and_a_flood_of_unknown_ones_is_not(sign_on, monkeypatch):
    source = KeySource(url(sign_on))
    assert source.keys_for(signed())
    sign_on.keys = [published(NEW, "new"), published(OLD, "old")]
    source._client.cooldown_duration = 0  # as half a minute later
    assert source.keys_for(signed(NEW, "new"))
    source._client.cooldown_duration = 30
    asked = sign_on.asked
    for number in range(50):
        assert not source.keys_for(signed(NEW, f"made up {number}"))
    assert sign_on.asked == asked
    assert source.keys_for(signed())


def test_while_the_single_sign_on_is_away_the_last_keys_count(sign_on, monkeypatch, caplog):
    source = KeySource(url(sign_on))
    assert source.keys_for(signed())
    sign_on.status = 503
    source._client.jwk_set_cache.jwk_set_with_timestamp = None  # as five minutes later
    asked = sign_on.asked
    for _ in range(5):
        assert source.keys_for(signed())
    assert sign_on.asked == asked + 1  # and it is not asked for each token
    assert "cannot be fetched" in caplog.text
    monkeypatch.setattr(jwks, "_RETRY", 0.0)
    sign_on.status, sign_on.keys = 200, [published(NEW, "new")]
    assert source.keys_for(signed(NEW, "new"))
    assert not source.keys_for(signed())  # withdrawn
