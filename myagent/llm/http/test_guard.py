"""Keeps tests from asking real models, by an environment variable that `myagent.testing` and its pytest plugin set.

Servers that a test starts inherit it.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

TEST_LLM = "MYAGENT_TEST_LLM"
"""`refuse`, or the URL of an endpoint that replaces every other one; not set outside of tests."""
REFUSE = "refuse"


def stand_in() -> str | None:
    """The URL of the endpoint that replaces every other one, or None."""
    value = os.environ.get(TEST_LLM)
    return None if value == REFUSE else value or None


def may_ask(url: str) -> bool:
    """Whether the endpoint at `url` may be asked; one on this machine costs nothing."""
    return os.environ.get(TEST_LLM) != REFUSE or _is_on_this_machine(url)


def _is_on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")
