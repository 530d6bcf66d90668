"""What Python keeps of the modules that it compiled. It knows their files by size and by time, in whole seconds.

So of two changes within one second it may hold the first, and an import would not see the second.
"""

from __future__ import annotations

import logging
import traceback
from importlib.util import cache_from_source
from pathlib import Path

logger = logging.getLogger("myagent.agents")


def forget(file: Path) -> None:
    """Let the next import of this file compile it."""
    try:
        Path(cache_from_source(str(file))).unlink(missing_ok=True)
    except (OSError, NotImplementedError) as error:
        logger.debug("The bytecode of %s could not be removed: %s", file, error)


def forget_failed(error: BaseException) -> None:
    """Let the modules that ended with `error` be compiled by the next import: Python itself has dropped them."""
    known: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in known:
        known.append(following)
        for frame, _line in traceback.walk_tb(following.__traceback__):
            if frame.f_code.co_name == "<module>":
                forget(Path(frame.f_code.co_filename))
        following = following.__cause__ or following.__context__
