"""`OpenAILLM` under the name that it had before the library had rooms; agent files import it from here, too."""

from __future__ import annotations

from myagent.llm.openai import OpenAILLM as OpenAILLM
