"""Whether an object can be the model of an agent, before anybody waits for its answer."""

from __future__ import annotations

import inspect
from typing import Any

from myagent.i18n import gettext as _

_CLIENTS = {
    "anthropic": "Anthropic",
    "langchain": "LangChain",
    "litellm": "LiteLLM",
    "llama_index": "LlamaIndex",
    "ollama": "Ollama",
    "openai": "openai",
}
"""What others' models and clients come from, by the beginning of the names of their modules."""


def unusable_llm(llm: Any) -> str | None:
    """Why `llm` cannot be the model of an agent, and what can, in a sentence; None when it seems to be one."""
    if isinstance(llm, str):
        words = _(
            'llm=%(value)r: write llm=OpenAILLM("%(value)s"), or give the name of a model to create_react_agent().'
        )
        return words % {"value": llm} if llm.strip() else _("llm=%(value)r: it names no model.") % {"value": llm}
    maker = _maker(llm)
    if inspect.isclass(llm) and maker is None:
        words = _("llm=%(name)s is a class. Give an object: llm=%(name)s()")
        return words % {"name": llm.__name__}
    lack = _lack(llm)
    if lack is not None and maker is not None:
        words = _(
            "llm= is something of %(maker)s, which cannot be asked here. For any OpenAI-compatible endpoint write "
            "llm=OpenAILLM(model, base_url=…, api_key=…)."
        )
        return words % {"maker": maker}
    if lack is not None:
        words = _(
            "llm= is no model but %(kind)s: %(lack)s. Give the name of a model, OpenAILLM(...), or an object with what "
            "myagent.LLM has."
        )
        return words % {"kind": _kind(llm), "lack": lack}
    return None


def _maker(llm: Any) -> str | None:
    """Whose model or client it is, where it is one that is often given."""
    module = llm.__name__ if inspect.ismodule(llm) else (llm if inspect.isclass(llm) else type(llm)).__module__
    return next((maker for start, maker in _CLIENTS.items() if module.partition(".")[0].startswith(start)), None)


def _kind(llm: Any) -> str:
    """What it is, for people; what is in it may be secret."""
    if inspect.isroutine(llm):
        return _("a function")
    if inspect.iscoroutine(llm):
        llm.close()  # it will never be awaited, and Python would warn of that
        return _("an async function")
    return _("an object of the class %(name)s") % {"name": type(llm).__name__}


def _lack(llm: Any) -> str | None:
    """What it does not have of `LLM`."""
    # A property is not asked: it may read the environment, which is not known yet.
    model = inspect.getattr_static(llm, "model", None)
    if not isinstance(model, property) and not isinstance(getattr(llm, "model", None), str):
        return _("it has no text 'model'")
    stream = getattr(llm, "stream", None)
    if not callable(stream):
        return _("it has no method 'stream'")
    function = inspect.unwrap(stream)
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        return _("its stream() is no async generator (async def with yield)")
    try:
        inspect.signature(stream).bind([], tools=())
    except TypeError:
        return _("its stream() does not take (messages, *, tools=())")
    except ValueError:
        pass  # of a built-in function nothing is known
    return None
