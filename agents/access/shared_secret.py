"""Whether the servers of one database have one secret, which their logins and exported states need."""

from __future__ import annotations

import logging
import socket

from django.conf import settings
from django.utils.crypto import salted_hmac

from agents.conf import Config
from agents.models.server_mark import ServerMark

logger = logging.getLogger("myagent.server")


def note_secret(config: Config) -> None:
    """Say so if the last server of this database had a secret that this one does not accept; leave this one's mark.

    Blocking.
    """
    last = ServerMark.objects.filter(pk=ServerMark.ONLY).first()
    place = f"{socket.gethostname()}:{config.data_dir}"
    accepted = {_mark(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)}
    if last is not None and last.secret_mark not in accepted:
        logger.warning(
            "❌ The last server of this database had another secret (its data folder is %s, this one's is %s): logins, "
            "links and exported states of the two are not valid for each other. Give all servers of a database one "
            "MYAGENT_SECRET_KEY or one data folder, and name an earlier secret in MYAGENT_SECRET_KEY_FALLBACKS.",
            last.data_folder,
            place,
        )
    if last is None or (last.secret_mark, last.data_folder) != (_mark(settings.SECRET_KEY), place):
        facts = {"secret_mark": _mark(settings.SECRET_KEY), "data_folder": place}
        ServerMark.objects.update_or_create(pk=ServerMark.ONLY, defaults=facts)


def _mark(secret: str) -> str:
    return salted_hmac("agents.access.shared_secret", "mark", secret=secret, algorithm="sha256").hexdigest()
