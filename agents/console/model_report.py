"""The models of agents checked one after the other, and what was found, for a terminal and for programs."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from agents.conf import Config
from agents.console.check_report import Report
from agents.console.model_check import ModelCheck, ModelFinding
from agents.loading.model_choice import default_model, llm_of
from myagent.exceptions import LLMNotConfigured
from myagent.i18n import gettext as _
from myagent.llm import LLM
from myagent.llm.fallback import FallbackLLM
from myagent.terminal.safe_text import plain

_MARKS = {"works": ("✅", "green"), "around": ("⚠️ ", "yellow"), "fails": ("❌", "red"), "skipped": ("➖", "dim")}


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What was found of one model, at an address if it has one."""

    model: str
    url: str
    findings: tuple[ModelFinding, ...]

    @property
    def passes(self) -> bool:
        """Whether an agent can use it."""
        return not any(finding.outcome == "fails" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {"model": self.model, "url": self.url, "findings": [finding.as_json() for finding in self.findings]}


def check_models(report: Report, config: Config, console: Console) -> list[ModelReport]:
    """Check the models of the agents in `report`, each once; without agents the one that the environment configures."""
    chosen = [llm_of(loaded.agent, config) for loaded in report.agents] or [default_model(config)]
    models = [model for llm in chosen for model in (llm.models if isinstance(llm, FallbackLLM) else (llm,))]
    try:
        return [asyncio.run(_check(model, console)) for model in {id(model): model for model in models}.values()]
    except KeyboardInterrupt:
        sys.exit(130)


async def _check(model: LLM, console: Console) -> ModelReport:
    try:
        url = getattr(model, "address", "")
    except LLMNotConfigured as error:
        finding = ModelFinding(name="settings", title=_("the settings"), outcome="fails", words=str(error))
        _show(finding, console)
        return ModelReport(model.model, "", (finding,))
    console.print(Text(f"{model.model}  {url}".rstrip(), style="bold"), soft_wrap=True)
    findings: list[ModelFinding] = []
    try:
        async with aclosing(ModelCheck(model).findings()) as asking:
            async for finding in asking:
                _show(finding, console)
                findings.append(finding)
    finally:
        if (close := getattr(model, "aclose", None)) is not None:
            await close()
    return ModelReport(model.model, url, tuple(findings))


def _show(finding: ModelFinding, console: Console) -> None:
    mark, style = _MARKS[finding.outcome]
    console.print(Text(f"{mark} {finding.title} · {finding.seconds:.1f} s", style=style), soft_wrap=True)
    if finding.words:
        console.print(Text(f"   {plain(finding.words)}"), soft_wrap=True)
