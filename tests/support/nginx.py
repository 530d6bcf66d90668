"""A real nginx with the configuration that the documentation shows, in front of a server of the tests."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.held_port import held_port
from tests.support.markdown import blocks
from tests.support.other_user import as_user
from tests.support.paths import ROOT
from tests.support.patience import WAIT_SECONDS
from tests.support.services import program

NAME = "agents.example.com"
_AROUND = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {page}
}}
"""


class Nginx:
    """nginx on free ports before the server on `upstream`; a context manager. `port` is the one with TLS.

    `edits` are replacements in what the page shows, `user` is whose process it is, if not the test's own: it gets a
    folder that it can reach then.
    """

    def __init__(
        self, folder: Path, upstream: int, *, edits: dict[str, str] | None = None, user: str | None = None
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="nginx-") if user is not None else None
        if self._temporary is not None:
            folder = Path(self._temporary.name)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._user = folder, user
        self._held = ExitStack()
        self.port, self.plain_port = (self._held.enter_context(held_port()) for _ in range(2))
        self.trust = _certificate(folder)
        (page,) = blocks("docs/operations.md", mark="nginx")
        text = page.text
        for there, here in {
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "listen 80": f"listen 127.0.0.1:{self.plain_port}",
            "/etc/ssl/agents.example.com.pem": str(folder / "certificate.pem"),
            "/etc/ssl/agents.example.com.key": str(folder / "key.pem"),
            "/var/log/nginx/agents.log": str(folder / "access.log"),
            "127.0.0.1:8080": f"127.0.0.1:{upstream}",
        }.items():
            assert text.count(there) == 1, f"the page has changed: {there}"
            text = text.replace(there, here)
        for shown, instead in (edits or {}).items():
            assert shown in text, f"the page has changed: {shown}"
            text = text.replace(shown, instead)
        (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, page=text), encoding="utf-8")

    @property
    def access_log(self) -> str:
        """What it wrote of requests."""
        return (self.folder / "access.log").read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        command = [program("nginx"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        if self._user is not None:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, self._user)
            command = as_user(self._user, *command)
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + WAIT_SECONDS
        while not _listens(self.port):
            assert self._process.poll() is None, self._process.communicate()[1]
            assert time.monotonic() < until, "nginx does not listen"
            time.sleep(0.02)
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=WAIT_SECONDS)
        self._held.close()
        if self._temporary is not None:
            self._temporary.cleanup()


class BalancingNginx(Nginx):
    """nginx with the configuration of `deploy/compose`, on a free port before the servers on `upstreams`."""

    def __init__(self, folder: Path, *upstreams: int) -> None:
        folder.mkdir(parents=True)
        self._temporary = self._user = None
        self._held = ExitStack()
        self.folder, self.port = folder, self._held.enter_context(held_port())
        text = (ROOT / "deploy" / "compose" / "nginx.conf").read_text(encoding="utf-8")
        changed = {f"server-{number}:8080": f"127.0.0.1:{port}" for number, port in enumerate(upstreams, 1)}
        changed |= {"listen 8080": f"listen 127.0.0.1:{self.port}", "/dev/stdout": str(folder / "access.log")}
        for there, here in changed.items():
            assert text.count(there) == 1, f"the file has changed: {there}"
            text = text.replace(there, here)
        (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, page=text), encoding="utf-8")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _certificate(folder: Path) -> ssl.SSLContext:
    """Make a certificate for `NAME`, and return what trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    names = [x509.DNSName(NAME), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(signed.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return ssl.create_default_context(cafile=str(folder / "certificate.pem"))
