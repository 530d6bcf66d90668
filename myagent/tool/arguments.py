"""The arguments of a tool call: their JSON schema, and the check of what a model sent.

The sentences are for the model, so they are English whatever the server's language is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import ErrorDetails

from myagent.exceptions import AgentDefinitionError, RetryTool
from myagent.i18n import gettext as _
from myagent.text import clean
from myagent.tool.plain import BIGGEST_INT, plain
from myagent.tool.signature import MISSING, Signature

MOST_PROBLEMS = 5
LONGEST_VALUE = 200


class Arguments(Protocol):
    """The arguments that one tool takes."""

    @property
    def schema(self) -> dict[str, Any]:
        """Their JSON schema, as the model is shown it."""
        ...

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What to call the tool with. Raises `RetryTool` that says what is wrong with `given`."""
        ...


def parse_arguments(text: str | None) -> dict[str, Any]:
    """The model's JSON text of a call's arguments as a dict; no text is no arguments.

    Raises `RetryTool` when it is not the JSON text of an object.
    """
    if text is None or not text.strip():
        return {}
    try:
        value = json.loads(text, parse_int=_integer, parse_constant=_no_constant)
    except RecursionError:
        raise RetryTool("The arguments are nested too deeply. Call again with a flatter JSON object.") from None
    except ValueError as error:
        raise RetryTool(
            f"The arguments are not valid JSON ({error}). Call again with one complete JSON object. "
            f"You sent: {shown(text)}"
        ) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RetryTool(
            f"The arguments must be a JSON object such as {{}}, not {json_type(value)}. You sent: {shown(value)}"
        )
    return {clean(key): plain(item) for key, item in value.items()}


class SignatureArguments:
    """Arguments described by the signature of `execute`; values are converted to the annotated types.

    `descriptions` are those of the docstring, by parameter. Raises `AgentDefinitionError` for an annotation that JSON
    cannot express.
    """

    def __init__(self, tool: str, signature: Signature, descriptions: Mapping[str, str]) -> None:
        self._tool = tool
        self._expected = _expectation(signature.names)
        self._contexts = signature.contexts
        for item in signature.parameters:
            if item.unknown_name is not None:
                words = _(
                    "The tool %(tool)r: the annotation of %(name)r names %(type)s, which is not defined where the tool "
                    "is. Import it (not only for type checkers), or set `parameters`."
                )
                raise AgentDefinitionError(words % {"tool": tool, "name": item.name, "type": item.unknown_name})
        # The names are aliases, as a model's own fields may not begin with "_" or be called "copy" or "model_config".
        self._names = {f"p{index}": item.name for index, item in enumerate(signature.parameters)}
        fields: dict[str, Any] = {
            field: (
                item.annotation,
                Field(
                    default=... if item.default is MISSING else item.default,
                    alias=item.name,
                    description=descriptions.get(item.name),
                ),
            )
            for field, item in zip(self._names, signature.parameters, strict=True)
        }
        config = ConfigDict(
            extra="allow" if signature.takes_any else "forbid", coerce_numbers_to_str=True, regex_engine="python-re"
        )
        try:
            self._model: type[BaseModel] = create_model(tool, __config__=config, **fields)
            self.schema = self._model.model_json_schema(schema_generator=_BareJsonSchema)
        except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            words = _(
                "The tool %(tool)r: no JSON schema can be made from the annotations of its parameters: %(reason)s Use "
                "types that JSON has, or set `parameters`."
            )
            raise AgentDefinitionError(words % {"tool": tool, "reason": reason}) from error

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if hidden := [name for name in self._contexts if name in given]:
            raise RetryTool(wrong_arguments(self._tool, unknown_arguments(hidden, self._names.values())))
        try:
            filled = self._model.model_validate(dict(given))
        except ValidationError as error:
            raise RetryTool(wrong_arguments(self._tool, map(self._problem, error.errors(include_url=False)))) from None
        extra = filled.model_extra or {}
        return {self._names[name]: getattr(filled, name) for name in self._names if name in filled.model_fields_set} | {
            name: value for name, value in given.items() if name in extra
        }

    def _problem(self, error: ErrorDetails) -> str:
        where = ".".join(map(str, error["loc"]))
        match error["type"]:
            case "missing":
                return f"missing: {where!r}"
            case "extra_forbidden" if len(error["loc"]) == 1:
                return f"there is no argument {where!r}; {self._expected}"
        return f"the argument {where!r} is {shown(error['input'])}: {error['msg']}"


class _BareJsonSchema(GenerateJsonSchema):
    """Without titles, which tell a model nothing, and silent about defaults that are not JSON."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

    def generate(self, schema: Any, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
        generated = super().generate(schema, mode)
        generated.pop("title", None)
        return {"properties": {}} | generated

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def wrong_arguments(tool: str, problems: Iterable[str]) -> str:
    """The sentence a model gets for a call with wrong arguments; it names the first few problems."""
    return f"Wrong arguments for {tool}: {'; '.join(islice(problems, MOST_PROBLEMS))}. Correct them and call again."


def unknown_arguments(names: Iterable[str], known: Iterable[str]) -> Iterable[str]:
    """A problem for each of `names`, which the tool does not take."""
    expected = _expectation(known)
    return (f"there is no argument {name!r}; {expected}" for name in names)


def shown(value: Any) -> str:
    """`value` as JSON, shortened to what a sentence can hold."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def json_type(value: Any) -> str:
    """What JSON calls the type of `value`, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
    return "an object"


def _expectation(known: Iterable[str]) -> str:
    names = ", ".join(map(repr, sorted(known)))
    return f"it takes {names}" if names else "it takes none"


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(number := int(digits)) > BIGGEST_INT:
        raise ValueError(f"the number {digits[:40]} does not fit 64 bits, give it as a string")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON, give a number or null")
