"""Why there is no connection to an endpoint, in words for people."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

from myagent.i18n import gettext as _


def reason_of(error: BaseException) -> str:
    """What kept the endpoint from answering, as a part of a sentence."""
    for cause in _causes(error):
        # aiohttp has an error of that class around it, which lacks the reason.
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            return _(
                "its certificate is not trusted ({reason}); SSL_CERT_FILE can name a file with one that is"
            ).format(reason=cause.verify_message)
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLCertVerificationError):
            return _("it does not speak TLS as expected ({reason}); is it https:// at this port?").format(
                reason=(cause.reason or "TLS").replace("_", " ").lower()
            )
        if isinstance(cause, TimeoutError):
            return _("it did not answer in time")
        if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError):
            # Name lookups have negative numbers, which only their own text explains.
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    return _("the connection was closed without an answer")


def is_permanent(error: BaseException) -> bool:
    """Whether the same would happen again at once: TLS does not become sound by itself."""
    return any(isinstance(cause, ssl.SSLError) for cause in _causes(error))


def is_silence(error: BaseException) -> bool:
    """Whether it was waited for, as long as it may be."""
    return any(isinstance(cause, TimeoutError) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
