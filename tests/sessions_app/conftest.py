"""What the tests of conversations share."""

from tests.support.entries import ref, session

__all__ = ["ref", "session"]
