"""A step that several models may answer: when one cannot, the next is asked, and what was shown is taken back."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from myagent.events import AgentEvent, StepReset, StepStarted
from myagent.exceptions import LLMError
from myagent.llm.fallback import RunModels
from myagent.loop.history import History
from myagent.text import short_id

logger = logging.getLogger("myagent.loop")

FALLBACK = "fallback"


async def in_turn(
    models: RunModels, ask: Callable[[], AsyncGenerator[AgentEvent]], *, history: History, step: int, run_id: str
) -> AsyncGenerator[AgentEvent]:
    """The events of `ask`, which asks `models` for the reply of `step` and is called again for each other model.

    Raises `LLMError` when there is no other model for it.
    """
    has_turned = models.begin()
    has_begun = False
    while True:
        if has_turned:
            history.take_window_of(models)
        try:
            async with aclosing(ask()) as asking:
                async for event in asking:
                    if not isinstance(event, StepStarted):
                        yield event
                        continue
                    if not has_begun:
                        has_begun = True
                        yield event
                    if has_turned:  # said although nothing may have been shown: whoever takes the run over reads it
                        yield StepReset(step=step, reason=FALLBACK, answering=models.answering)
            return
        except LLMError as error:
            before = models.model
            if not models.turn(error):
                raise
            has_turned = True
            words = "run=%s: %s did not answer (%s); %s answers from here on."
            logger.warning(words, short_id(run_id), before, error, models.model)
