"""Reading server-sent events: bytes in, data out."""

from __future__ import annotations


class SSEReader:
    """Takes the body of an event stream piece by piece, however it was cut, and gives out the data of each event.

    Lines end with LF or CRLF (no model server uses a lone CR). Comments and all fields but `data` are skipped.
    """

    __slots__ = ("_data", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()  # a line whose end has not come yet
        self._data: list[bytes] = []  # the data lines of an event whose end has not come yet

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that `piece` completes; several data lines are joined by LF."""
        if b"\n" not in piece:
            self._rest += piece
            return []
        if self._rest:
            self._rest += piece
            piece = bytes(self._rest)
            self._rest.clear()
        *lines, rest = piece.split(b"\n")
        self._rest += rest
        complete: list[bytes] = []
        for line in lines:
            self._take(line, complete)
        return complete

    def close(self) -> list[bytes]:
        """Says that the body has ended; gives the data of an event that lacked its blank line."""
        complete: list[bytes] = []
        self._take(bytes(self._rest), complete)
        self._take(b"", complete)
        self._rest.clear()
        return complete

    def _take(self, line: bytes, complete: list[bytes]) -> None:
        if line.endswith(b"\r"):
            line = line[:-1]
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
        elif line == b"data":
            self._data.append(b"")
        elif not line and self._data:
            complete.append(b"\n".join(self._data))
            self._data.clear()
