"""A tool around a library that takes its time. 同步工具与耗时的库。

    myagent-ws server examples/slow_library.py --llm demo

Say "Make a careful key", and in another window "Make a quick key": nobody waits for the other. Press stop during the
first one. A plain `def` runs in a thread, so it may block; in `async def` the same call would hold up the other tools
(`myagent-ws check` finds such calls). The library here is the standard library's PBKDF2, slow on purpose.

试着说 “Make a careful key”，同时在另一个窗口说 “Make a quick key”：谁也不用等谁。普通的 def 在线程里运行，可以阻塞。
"""

import hashlib
import secrets
from typing import Literal

from myagent import RunContext, create_react_agent, tool

ROUNDS = {"quick": 2, "careful": 10}
ITERATIONS = 100_000


@tool(timeout=30)
def make_key(kind: Literal["quick", "careful"], run: RunContext) -> str:
    """Makes a secret key from a random passphrase.

    Args:
        kind: how hard the key is to guess; careful takes longer
    """
    key, salt = secrets.token_bytes(16), secrets.token_bytes(16)
    for done in range(ROUNDS[kind]):
        run.progress(f"round {done + 1} of {ROUNDS[kind]}", percent=100 * done / ROUNDS[kind])
        key = hashlib.pbkdf2_hmac("sha256", key, salt, ITERATIONS)
    return f"A {kind} key, stretched {ROUNDS[kind] * ITERATIONS:,} times: {key.hex()[:16]}…"


agent = create_react_agent(
    name="keymaker",
    description="Makes keys, which takes a moment",
    tools=[make_key],
    system_prompt="You make keys. Never make more than one at a time.",
)
