"""`OutputForm`: the value that an answer has to be, its JSON schema and its check."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Protocol

import orjson
from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.llm.output_tool import OUTPUT_TOOL
from myagent.tool.arguments import MOST_PROBLEMS, BareJsonSchema, shown
from myagent.tool.collection import ToolCollection
from myagent.tool.output_schema import SchemaCheck, of_object
from myagent.tool.storable_json import plain

logger = logging.getLogger("myagent.tools")


class OutputMismatch(Exception):
    """A value that does not fit; `problems` say why, each with the path of its field. For the loop, not for authors."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(islice(problems, MOST_PROBLEMS))
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True, slots=True)
class OutputValue:
    """A value that fits: as JSON, and as the author's class has it (the JSON itself where there is no class)."""

    json: dict[str, Any]
    instance: Any


class _Check(Protocol):
    @property
    def schema(self) -> dict[str, Any]: ...

    def check(self, value: Mapping[str, Any]) -> OutputValue: ...


class OutputForm:
    """What the answers of an agent have to be: a pydantic model, a dataclass, or the JSON schema of an object.

    Raises `AgentDefinitionError` for what is none of them.
    """

    def __init__(self, output: Any) -> None:
        self._check: _Check = _SchemaCheck(output) if isinstance(output, Mapping) else _ClassCheck(output)

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema, of an object."""
        return self._check.schema

    def check(self, value: Any) -> OutputValue:
        """`value`, which is JSON in Python's types, checked and converted. Raises `OutputMismatch`."""
        if not isinstance(value, Mapping):
            raise OutputMismatch([_("it should be a JSON object, not %(value)s") % {"value": shown(value)}])
        try:
            return self._check.check(value)
        except RecursionError:
            raise OutputMismatch([_("it is nested too deeply")]) from None


def output_form(output: Any, tools: ToolCollection, accepts: Collection[str]) -> OutputForm | None:
    """The form that an agent's option `output` describes, None for none.

    Raises `AgentDefinitionError` for what cannot be one, and for a tool that has the name of the output's own.
    """
    if (output is not None or "output_schema" in accepts) and OUTPUT_TOOL in tools.names:
        words = _("The tool %(tool)r needs another name: an agent with an output has one of this name.")
        raise AgentDefinitionError(words % {"tool": OUTPUT_TOOL})
    return output if output is None or isinstance(output, OutputForm) else OutputForm(output)


class _SchemaCheck:
    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._rules = SchemaCheck(schema)

    @property
    def schema(self) -> dict[str, Any]:
        return self._rules.schema

    def check(self, value: Mapping[str, Any]) -> OutputValue:
        if problems := list(islice(self._rules.problems(value), MOST_PROBLEMS)):
            raise OutputMismatch(problems)
        return OutputValue(dict(value), dict(value))


class _ClassCheck:
    def __init__(self, kind: Any) -> None:
        self._kind = kind
        # A string names nothing that could be looked up, and pydantic would take it for a type that comes later.
        if not isinstance(kind, type):
            words = _("output=%(value).200r: it should be a pydantic model, a dataclass or a JSON schema (a dict).")
            raise AgentDefinitionError(words % {"value": kind})
        if self.schema.get("type", "object") != "object":
            words = _("output=%(class)s: its JSON is no object. Write a class that has it as a field.")
            raise AgentDefinitionError(words % {"class": kind.__name__})

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self._kind)

    @cached_property
    def schema(self) -> dict[str, Any]:
        try:
            return of_object(self._adapter.json_schema(schema_generator=BareJsonSchema))
        except (PydanticSchemaGenerationError, PydanticUserError, TypeError, NameError) as error:
            words = _("output=%(class)s: no JSON schema can be made from it: %(reason)s")
            about = {"class": self._kind.__name__, "reason": str(error).partition("\n")[0]}
            raise AgentDefinitionError(words % about) from error

    def check(self, value: Mapping[str, Any]) -> OutputValue:
        try:
            # As JSON, so that strict models take texts for dates and lists for tuples.
            instance = self._adapter.validate_json(orjson.dumps(value))
        except ValidationError as error:
            raise OutputMismatch(map(_problem, error.errors(include_url=False))) from None
        except Exception as error:
            # A validator of the author's, which may raise anything.
            logger.exception("The check of the output %s failed.", self._kind.__name__)
            words = _("it could not be checked (%(error)s)") % {"error": type(error).__name__}
            raise OutputMismatch([words]) from None
        return OutputValue(self._as_json(instance, value), instance)

    def _as_json(self, instance: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            dumped = self._adapter.dump_python(instance, mode="json", by_alias=True)
        except PydanticSerializationError:
            logger.exception("The output %s could not be turned into JSON; what the model gave is.", self._kind)
            dumped = given
        return dict(plain(dumped)) if isinstance(dumped, Mapping) else dict(given)


def _problem(error: ErrorDetails) -> str:
    where = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return _("%(path)s: it is missing") % {"path": where}
    words = _("%(path)s: %(problem)s (it is %(value)s)")
    return words % {"path": where or "$", "problem": error["msg"], "value": shown(error["input"])}
