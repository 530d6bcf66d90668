"""How a connection begins, and how it is refused."""

from __future__ import annotations

from myagent.conformance.asked_server import Server, closed_with, unknown_id
from myagent.conformance.verdict import check, expect
from myagent.i18n import gettext_noop
from myagent.protocol.error_codes import CloseCode


@check(gettext_noop("the first frame on every connection is system.connected"), heading="systemconnected")
async def greeting(server: Server) -> None:
    async with server.connect():
        pass


@check(
    gettext_noop("an agent that does not exist is refused by a close code, not by a failed handshake"),
    heading="close-codes",
)
async def unknown_agent(server: Server) -> None:
    async with server.open(server.token, agent=f"no-{unknown_id()}") as socket:
        code = await closed_with(socket)
    expect(code == CloseCode.NO_SUCH_AGENT, f"it was closed with {code}; {CloseCode.NO_SUCH_AGENT} was due")


@check(gettext_noop("a token that is wrong is refused by a close code"), heading="close-codes")
async def wrong_token(server: Server) -> None:
    server.needed(server.token, "--token", "a token, so that there are wrong ones")
    async with server.open(unknown_id()) as socket:
        code = await closed_with(socket)
    expect(code == CloseCode.UNAUTHENTICATED, f"it was closed with {code}; {CloseCode.UNAUTHENTICATED} was due")
