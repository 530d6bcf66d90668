"""What a script prints that ends because its model cannot be asked."""

from __future__ import annotations

import sys
from types import TracebackType

from myagent.exceptions import LLMError


def end_in_a_sentence() -> None:
    """From now on an `LLMError` that nobody catches is printed as its sentence: no line of the script is wrong.

    Nothing changes where another hook is in place, and in Python's development mode.
    """
    if sys.excepthook is sys.__excepthook__ and not sys.flags.dev_mode:
        sys.excepthook = _print


def _print(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, LLMError) and sys.stderr is not None:
        sys.stderr.write(f"❌ {error}\n")
    else:
        sys.__excepthook__(kind, error, trace)
