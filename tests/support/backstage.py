"""An operator at the database of a running server: `python -m tests.support.backstage` obeys line by line.

    with Backstage(server) as backstage:
        token = backstage.do("result = AccessToken.objects.issue(User.objects.get(username='ann'), 'x')[1]")

A command of `manage.py` for each of these would take seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from tests.support import forked
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from tests.support.agent_server import AgentServer  # the process itself needs none of what the tests need

PRELUDE = """
from datetime import timedelta
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone
from agents.models import AccessToken, GroupBudget, HostedAgent, SsoIdentity, Usage, UserBudget
from sessions_app.models import Confirmation, Event, Message, Run, Session
"""


class Backstage:
    """A process beside the server, on the same data; a context manager."""

    def __init__(self, server: AgentServer) -> None:
        self._server = server

    def do(self, code: str, **names: Any) -> Any:
        """Run statements that may use `names`; returns what they leave in `result`, which JSON must be able to say."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": code, "names": names}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def tokens(self, *names: str) -> dict[str, str]:
        """A token for each of these new users, by their names."""
        code = "result = {name: AccessToken.objects.issue(User.objects.create_user(name), 'test')[1] for name in names}"
        tokens: dict[str, str] = self.do(code, names=names)
        return tokens

    def __enter__(self) -> Self:
        self._process = forked.Popen(
            [sys.executable, "-m", "tests.support.backstage"],
            cwd=ROOT,
            env={"DJANGO_SETTINGS_MODULE": "myagent_site.settings"} | self._server.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def tokens_of(server: AgentServer) -> dict[str, str]:
    """Of two new users of this server, ann and bob."""
    with Backstage(server) as backstage:
        return backstage.tokens("ann", "bob")


def main() -> None:
    """Do what comes in."""
    import django

    django.setup()
    scope: dict[str, Any] = {}
    exec(PRELUDE, scope)
    for line in sys.stdin:
        asked = json.loads(line)
        scope |= asked["names"] | {"result": None}
        try:
            exec(asked["code"], scope)
            answer = {"result": scope["result"]}
        except Exception as error:  # noqa: BLE001 - told to the test
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
