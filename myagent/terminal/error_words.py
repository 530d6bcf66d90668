"""Problems with the server, in words that say what to do."""

from __future__ import annotations

import errno
import re

from myagent.client import ClientError, ConnectionLost, FrameTooLarge, HandshakeRefused
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import CloseCode, ErrorCode
from myagent.terminal.address import Address

START = "myagent-ws server my_agent.py"


def cannot_connect(error: OSError | ClientError, address: Address) -> str:
    """Why there is no connection, or none any more, and the cure."""
    match error:
        case ConnectionLost(close_code=code):
            return _closed(code, error.reason, address)
        case HandshakeRefused(status=403):
            return _(
                "%(url)s does not answer under this name (HTTP 403). Use the address that the server's banner shows."
            ) % {"url": address.url}
        case HandshakeRefused():
            return _("%(url)s is no MyAgent server (%(reason)s). Is the address right, and the port?") % {
                "url": address.url,
                "reason": error.reason,
            }
        case OSError() if _is_refused(error):
            return no_server(address)
    reason = error.strerror or str(error) or type(error).__name__ if isinstance(error, OSError) else str(error)
    return _("%(url)s cannot be reached: %(reason)s") % {"url": address.url, "reason": reason}


def _is_refused(error: OSError) -> bool:
    # A name with several addresses, such as localhost with ::1 and 127.0.0.1, is refused at each.
    codes = set(re.findall(r"\[Errno (\d+)\]", str(error)))
    return isinstance(error, ConnectionRefusedError) or codes == {str(errno.ECONNREFUSED)}


def no_server(address: Address) -> str:
    """That there is no server, and how to start one."""
    words = _("No server listens on %(host)s:%(port)s. Start one with: %(command)s")
    command = START if address.port == 8080 else f"{START} --port {address.port}"
    return words % {"host": address.host, "port": address.port, "command": command}


def too_large(error: FrameTooLarge) -> str:
    """What was not sent because of its size, and what to do instead."""
    if error.limit is None:
        words = _("Not sent: this has %(size)s bytes, which is more than the server takes.")
    else:
        words = _("Not sent: this has %(size)s bytes, and the server takes at most %(limit)s.")
    cure = _("Send it in parts, or let a tool of the agent read it from a file.")
    return f"{words % {'size': f'{error.size:,}', 'limit': f'{error.limit or 0:,}'}} {cure}"


def refused_words(code: str, words: str) -> str:
    """What a refusal says, in the words of this program where the server's are for programs."""
    known = {
        ErrorCode.SESSION_NOT_FOUND: _("There is no such session, or none of yours."),
        ErrorCode.SESSION_CLOSED: _("This session is closed. /new begins another one."),
    }
    return known.get(ErrorCode(code), words) if code in set(ErrorCode) else words


def _closed(code: int, reason: str, address: Address) -> str:
    if code == CloseCode.UNAUTHENTICATED:
        return _not_let_in(reason, has_token=bool(address.token))
    words = {
        CloseCode.NORMAL: _("The server ended the connection."),
        1006: _("The connection broke."),
        CloseCode.TOO_BIG: _("The message was too large for the server (1009)."),
        CloseCode.SERVER_FAULT: _("The server made a mistake (1011); its log has the details."),
        CloseCode.RESTARTING: _("The server is restarting (1012)."),
        CloseCode.NOT_OUR_PROTOCOL: _(
            "The server speaks another version of the protocol (4400). Update this program, or the server."
        ),
        CloseCode.FORBIDDEN: _("You are not permitted to do that here (4403). Ask the operator of the server."),
        CloseCode.NO_SUCH_AGENT: _(
            "There is no such agent at %(url)s, or none that you may use (4404). Try the address without a path."
        ),
        CloseCode.NOT_READING: _("This program did not read for too long (4408)."),
        CloseCode.OVER_LIMIT: _("The server has reached its maximum number of connections (4429)."),
    }
    if (code, reason) == (CloseCode.OVER_LIMIT, ErrorCode.BUSY):
        return _("The server is short of memory and takes no further connections at the moment (4429).")
    other = _("The server ended the connection with code %(code)s (%(reason)s).")
    return words.get(code, other) % {"url": address.url, "code": code, "reason": reason or "-"}


def _not_let_in(reason: str, *, has_token: bool) -> str:
    if reason == "revoked":
        return _(
            "Your credentials are no longer valid (4401): the token was revoked, has expired, or its user was disabled."
        )
    if has_token:
        return _(
            "The server does not accept this token (4401). Its banner shows one that works for you on the same "
            "machine; its operator creates others with: python manage.py createtoken NAME"
        )
    return _(
        "The server asks for a token (4401). Put one into the variable MYAGENT_TOKEN, or use the address with a token"
        " that the server's banner shows."
    )
