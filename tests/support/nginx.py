"""A real nginx with the configuration that the documentation shows, in front of a server of the tests."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.markdown import blocks
from tests.support.services import program

NAME = "agents.example.com"
START_SECONDS = 20.0
_AROUND = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {page}
}}
"""


class Nginx:
    """nginx on free ports before the server on `upstream`; a context manager. `port` is the one with TLS."""

    def __init__(self, folder: Path, upstream: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port, self.plain_port = _free_port(), _free_port()
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
        (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, page=text), encoding="utf-8")

    @property
    def access_log(self) -> str:
        """What it wrote of requests."""
        return (self.folder / "access.log").read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        command = [program("nginx"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + START_SECONDS
        while not _listens(self.port):
            assert self._process.poll() is None, self._process.communicate()[1]
            assert time.monotonic() < until, "nginx does not listen"
            time.sleep(0.02)
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=START_SECONDS)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


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
