"""A client of the API of files, which also says what no decent client says."""

from __future__ import annotations

import http.client
import json
import uuid
import zlib
from dataclasses import dataclass
from typing import Any

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\xdac\xfc\xcf\xc0P\x0f\x00\x04\x85\x01\x80\x84\xa9\x8c!\x00\x00\x00\x00IEND\xaeB`\x82"
)
ZIP_BOMB = b"PK\x03\x04" + zlib.compress(bytes(1_000_000), 9)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

File = tuple[str, bytes] | tuple[str, bytes, str]
"""A name, the bytes, and what type the sender says they are."""


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def files(self) -> list[dict[str, Any]]:
        assert self.status == 201, self.body
        return json.loads(self.body)["files"]

    @property
    def refusal(self) -> tuple[int, str]:
        told = json.loads(self.body)
        assert told["message"], "words for people"
        return self.status, told["code"]


def form(*files: File, field: str = "file") -> tuple[str, bytes]:
    """The content type and the body of a form with these files."""
    mark = uuid.uuid4().hex
    parts = []
    for name, content, *kind in files:
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        parts.append(head.encode() + f"Content-Type: {(*kind, 'text/plain')[0]}\r\n\r\n".encode() + content + b"\r\n")
    return f"multipart/form-data; boundary={mark}", b"".join(parts) + f"--{mark}--\r\n".encode()


class FileClient:
    """Whoever has these headers. Blocking."""

    def __init__(self, server: Any, **headers: str) -> None:
        self._port = server.port
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @classmethod
    def with_token(cls, server: Any, token: str) -> FileClient:
        return cls(server, Authorization=f"Bearer {token}")

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, self._headers | named)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def upload(self, session_id: str, *files: File, **headers: str) -> Answer:
        kind, body = form(*files)
        return self.ask("POST", f"/api/sessions/{session_id}/files", body, Content_Type=kind, **headers)

    def get(self, url: str, **headers: str) -> Answer:
        return self.ask("GET", url, **headers)
