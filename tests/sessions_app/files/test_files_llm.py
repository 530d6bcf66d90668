"""What a model is sent in the place of files."""

from __future__ import annotations

import uuid

import pytest
from django.core.files.base import ContentFile

from agents.database.threads import in_thread, stop_threads
from myagent.llm import Reply, TextChunk, Usage
from myagent.messages import Message
from sessions_app.files import file_store, files_llm
from sessions_app.files.file_kinds import PDF, FileKind
from sessions_app.files.file_parts import url_of
from sessions_app.files.files_llm import FilesLLM
from sessions_app.journal.entries.session_files import AddFiles
from tests.support import entries as e
from tests.support.file_client import PNG

pytestmark = e.threads


@pytest.fixture(autouse=True)
def threads():
    yield
    stop_threads()


class Listener:
    """A model that remembers what it was sent."""

    model = "listener"
    context_window = 1_000
    takes_tool_choice = True

    async def stream(self, messages, *, tools=(), tool_choice=None):
        self.heard, self.tool_choice = list(messages), tool_choice
        yield TextChunk("yes")
        yield Reply(Message.assistant("yes"), Usage())


def give(session_id, name, content, kind):
    row = file_store.store(ContentFile(content), kind)
    e.commit_one(AddFiles(session_id=session_id, names={row.pk: name}, max_files=10))
    return row.pk


def picture(file_id):
    return {"type": "image_url", "image_url": {"url": url_of(file_id)}}


def attached(file_id):
    return {"type": "file", "file": {"file_id": str(file_id)}}


async def heard(session_id, *messages, **options):
    """The content of the messages that the model is sent, and the model."""
    listener = Listener()
    llm = FilesLLM(listener, session_id)
    assert (llm.model, llm.context_window, llm.takes_tool_choice) == ("listener", 1_000, True)
    chunks = [chunk async for chunk in llm.stream(messages, **options)]
    assert isinstance(chunks[-1], Reply)
    return [message.content for message in listener.heard], listener


async def test_what_names_no_file_goes_to_the_model_as_it_is():
    message = Message.user([{"type": "image_url", "image_url": {"url": "https://elsewhere.example/a.png"}}])
    sent, listener = await heard(uuid.uuid4(), Message.user("hi"), message, tool_choice="none")
    assert listener.heard[1] is message and listener.tool_choice == "none" and sent[0] == "hi"


async def test_files_are_sent_as_the_model_takes_them(session, monkeypatch):
    monkeypatch.setattr(files_llm, "FILE_TEXT_BYTES", 7)
    dot, text, paper, strange = [
        await in_thread(give, session, *file)
        for file in (
            ("点.png", PNG, FileKind("image/png")),
            ("诗.txt", "床前明月光".encode(), FileKind("text/plain", "utf-8")),
            ("paper.pdf", b"%PDF", FileKind(PDF)),
            ("of others.txt", b"secret", FileKind("text/plain", "utf-8")),
        )
    ]
    other = await in_thread(e.new_session)
    asked = Message.user([{"type": "text", "text": "Look"}, picture(dot), attached(text), attached(paper)])
    ((first, image, poem, pdf),), _ = await heard(session, asked)
    assert first == {"type": "text", "text": "Look"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR") and len(image["image_url"]) == 1
    assert "'诗.txt'" in poem["text"] and "床前\n[… cut off" in poem["text"] and "明" not in poem["text"]
    assert "only tools" in pdf["text"]
    ((nothing,),), _ = await heard(other, Message.user([attached(strange)]))
    assert "not there any more" in nothing["text"], "the file of another session"


async def test_the_newest_pictures_are_sent_and_the_others_named(session, monkeypatch):
    monkeypatch.setattr(files_llm, "PICTURE_BYTES", len(PNG) * 2)
    dots = [await in_thread(give, session, f"{n}.png", PNG, FileKind("image/png")) for n in range(3)]
    sent, _ = await heard(session, *(Message.user([picture(dot)]) for dot in dots))
    assert [part["type"] for (part,) in sent] == ["text", "image_url", "image_url"]
    assert "'0.png'" in sent[0][0]["text"]
