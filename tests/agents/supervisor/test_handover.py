from __future__ import annotations

import json
import os
import socket

from agents.supervisor.handover import Handover


def test_it_is_taken_once_and_goes_no_further(monkeypatch):
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as listening:
        handed = Handover(
            number=3, family="f", folder="/tmp/x", sockets=[listening.fileno()], channel=theirs.fileno(), is_first=True
        )
        environment = handed.environment()
        newer = json.loads(environment["MYAGENT_SUPERVISED"]) | {"something": "a newer supervisor hands on"}
        for name, value in (environment | {"MYAGENT_SUPERVISED": json.dumps(newer)}).items():
            monkeypatch.setenv(name, value)
        for number in handed.files:
            os.set_inheritable(number, True)
        assert Handover.take() == handed
        assert not any(map(os.get_inheritable, handed.files))
        assert (os.environ["MYAGENT_WORKER"], os.environ["MYAGENT_WORKERS_DIR"]) == ("3", "/tmp/x")
        assert Handover.take() is None, "what a worker starts is no worker"
