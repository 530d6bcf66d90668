"""What was said in a session, and where its log ends."""

from myagent.client import ServerFrame
from myagent.terminal.said_messages import SaidMessage, SaidMessages


def said(seq, message_id, content):
    metadata = {"run_id": "r", "message_id": message_id}
    return ServerFrame(event="user.message", session_id="s", seq=seq, content=content, metadata=metadata)


def test_each_message_is_there_once_the_newest_first():
    messages = SaidMessages()
    messages.take(said(2, "m-1", "one"))
    messages.add("m-2", "two, said here")
    messages.take(said(5, "m-2", "two, said here"))
    messages.take(said(8, "m-3", [{"type": "text", "text": "three"}, {"type": "file", "file": {"name": "a.txt"}}]))
    assert messages.newest_first() == [
        SaidMessage("m-3", "three [a.txt]"),
        SaidMessage("m-2", "two, said here"),
        SaidMessage("m-1", "one"),
    ]
    assert messages.last_seq == 8
