"""Files as they are stored: in the database or wherever the setting says, and as long as a session has them."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.utils import timezone

from sessions_app.files import file_store
from sessions_app.files.database_storage import CHUNK_BYTES, CHUNKS_PER_COMMIT, DatabaseStorage
from sessions_app.files.file_kinds import FileKind
from sessions_app.journal.entries.session_files import AddFiles
from sessions_app.journal.entries.sessions import DeleteSession
from sessions_app.journal.entry import Entry
from sessions_app.journal.file_links import share_files
from sessions_app.journal.stored_size import stored_bytes
from sessions_app.models import FileChunk, Session, SessionFile, StoredFile
from tests.support import entries as e

pytestmark = e.database
TEXT = FileKind("text/plain", "utf-8")


def give(session_id, content=b"hello", name="a.txt", kind=TEXT):
    """A stored file that the session has."""
    row = file_store.store(ContentFile(content), kind)
    e.commit_one(AddFiles(session_id=session_id, names={row.pk: name}, max_files=10))
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork(Entry):
    """What a fork does about files."""

    to_session: uuid.UUID

    def apply(self, batch):
        share_files(batch, batch.locks.session(self.session_id), batch.locks.session(self.to_session))


def fork(source, target):
    """Both sessions are locked by entries of one batch."""
    nothing = AddFiles(session_id=target, names={}, max_files=10)
    assert e.refusals(e.commit(nothing, Fork(session_id=source, to_session=target))) == [None, None]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES * CHUNKS_PER_COMMIT + 1])
def test_the_database_gives_back_what_it_was_given(size):
    content, storage = os.urandom(size), DatabaseStorage()
    name = storage.save("somewhere", ContentFile(content))
    assert storage.exists(name) and storage.size(name) == size
    with storage.open(name) as file:
        assert file.read(10) + file.read() == content
    with pytest.raises(ValueError, match="only read"):
        storage.open(name, "wb")
    storage.delete(name)
    assert not storage.exists(name) and not FileChunk.objects.exists()
    with pytest.raises(FileNotFoundError):
        storage.open(name)


@pytest.fixture(params=["database", "folder"])
def stored_elsewhere(request, settings, tmp_path):
    if request.param == "folder":
        folder = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
        settings.STORAGES = settings.STORAGES | {"myagent_files": folder}


def test_a_file_lasts_as_long_as_a_session_has_it_forks_included(session, stored_elsewhere):
    row = give(session, "北京".encode(), "城市.txt")
    (facts,) = file_store.files_of(session)
    assert (facts.name, facts.kind, facts.size, file_store.read(facts)) == ("城市.txt", TEXT, 6, "北京".encode())
    assert file_store.read(facts, 3) == "北".encode()
    second = e.new_session()
    fork(session, second)
    assert [copy.id for copy in file_store.files_of(second)] == [row.pk]
    for session_id in (session, second):
        e.events(session_id)  # which counts what is stored
        assert Session.objects.get(pk=session_id).stored_bytes == stored_bytes(session_id) > 6
    e.commit_one(DeleteSession(session_id=session))
    assert file_store.sweep(timezone.now() + timedelta(days=1)) == 0 and file_store.read(facts)
    e.commit_one(DeleteSession(session_id=second))
    assert file_store.usable_file(row.pk, None, lambda _agent: True) is None
    assert file_store.sweep(timezone.now()) == 1 and not StoredFile.objects.exists()
    with pytest.raises(OSError):
        file_store.read(facts)


def test_what_was_never_given_to_a_session_is_seen_by_nobody_and_deleted_later():
    """As a process leaves it that is killed in between."""
    row = file_store.store(ContentFile(b"orphan"), TEXT)
    assert file_store.usable_file(row.pk, None, lambda _agent: True) is None
    assert file_store.sweep(timezone.now()) == 0 and file_store.sweep(timezone.now() + file_store.KEPT_UNUSED) == 1
    assert not FileChunk.objects.exists()


def test_a_file_is_usable_by_its_owner_with_an_agent_that_is_allowed(django_user_model):
    ann, eve = (django_user_model.objects.create_user(name) for name in ("ann", "eve"))
    row = give(e.new_session(user_id=ann.pk))
    assert file_store.usable_file(row.pk, ann.pk, lambda agent: agent == "tester") is not None
    for user_id, agent in ((ann.pk, "other"), (eve.pk, "tester"), (None, "tester")):
        assert file_store.usable_file(row.pk, user_id, lambda name, agent=agent: name == agent) is None


def test_the_default_storage_is_the_database():
    assert isinstance(file_store.storage(), DatabaseStorage)
    assert settings.STORAGES[file_store.STORAGE]


def test_the_same_file_is_given_once(session):
    row = give(session)
    e.commit_one(AddFiles(session_id=session, names={row.pk: "again.txt"}, max_files=1))
    assert SessionFile.objects.filter(session=session).count() == 1
