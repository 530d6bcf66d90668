"""The arguments of a tool call: their JSON schema, and the check of what a model sent.

The sentences are for the model and for people, so they are in the server's language.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, PydanticUserError, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import ErrorDetails

from myagent.exceptions import AgentDefinitionError, RetryTool
from myagent.i18n import gettext as _
from myagent.llm.requests.object_text import read_object
from myagent.text import clean
from myagent.tool.mending import of_type
from myagent.tool.parameter import MISSING
from myagent.tool.signature import Signature
from myagent.tool.storable_json import BIGGEST_INT, plain

logger = logging.getLogger("myagent.tools")

MOST_PROBLEMS = 5
LONGEST_VALUE = 200


_CONTAINERS = {
    "list_type": "array",
    "set_type": "array",
    "tuple_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
    "dataclass_type": "object",
}
"""What pydantic finds where a text stands in place of a list or an object."""


class Arguments(Protocol):
    """The arguments that one tool takes."""

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments, for the model."""
        ...

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments to call the tool with. Raises `RetryTool` that says what is wrong with `given`."""
        ...


def parse_arguments(text: str | None) -> dict[str, Any]:
    """The model's JSON text of a call's arguments as a dict; no text is no arguments. Slips in it are mended where it
    is clear what is meant.

    Raises `RetryTool` when it is not the JSON text of an object.
    """
    if text is None or not text.strip():
        return {}
    try:
        value = read_object(text, _read)
    except RecursionError:
        raise RetryTool(_("The arguments are nested too deeply. Call again with a flatter JSON object.")) from None
    except ValueError as error:
        words = _(
            "The arguments are not valid JSON (%(error)s). Call again with one complete JSON object. You sent: %(sent)s"
        )
        raise RetryTool(words % {"error": error, "sent": shown(text)}) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        words = _("The arguments must be a JSON object such as {}, not %(type)s. You sent: %(sent)s")
        raise RetryTool(words % {"type": json_type(value), "sent": shown(value)})
    return {clean(key): plain(item) for key, item in value.items()}


class SignatureArguments:
    """Arguments described by the signature of `execute`; values are converted to the annotated types.

    `descriptions` are those of the docstring, by parameter. Raises `AgentDefinitionError` for an annotation that JSON
    cannot express.
    """

    def __init__(self, tool: str, signature: Signature, descriptions: Mapping[str, str]) -> None:
        self._tool = tool
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
            field: item.for_model(descriptions.get(item.name))
            for field, item in zip(self._names, signature.parameters, strict=True)
        }
        config = ConfigDict(
            extra="allow" if signature.takes_any else "forbid", coerce_numbers_to_str=True, regex_engine="python-re"
        )
        try:
            self._model: type[BaseModel] = create_model(tool, __config__=config, **fields)
            self.schema = self._model.model_json_schema(schema_generator=BareJsonSchema)
        except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            words = _(
                "The tool %(tool)r: no JSON schema can be made from the annotations of its parameters: %(reason)s Use "
                "types that JSON has, or set `parameters`."
            )
            raise AgentDefinitionError(words % {"tool": tool, "reason": reason}) from error
        shown = self.schema["properties"]
        if len(shown) != len(signature.parameters):
            words = _("The tool %(tool)r: two of its parameters have one alias in their Field. Give each its own.")
            raise AgentDefinitionError(words % {"tool": tool})
        # The model may be shown another name than the code has: an alias in a `Field`.
        self._shown = dict(zip(shown, signature.parameters, strict=True))
        self._hidden = (signature.hidden | signature.names).difference(shown)

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if hidden := [name for name in given if name in self._hidden]:
            raise RetryTool(wrong_arguments(self._tool, unknown_arguments(hidden, self._shown)))
        meant = {name: value for name, value in given.items() if value is not None or not self._is_its_default(name)}
        try:
            filled = self._model.model_validate(meant)
        except ValidationError as error:
            problems = error.errors(include_url=False)
            if (mended := self._mended(meant, problems)) != meant:
                return self.check(mended)
            raise RetryTool(wrong_arguments(self._tool, map(self._problem, problems))) from None
        except Exception as error:
            # A validator of the author's, which may raise anything.
            logger.exception("The check of the arguments of the tool %r failed.", self._tool)
            words = _("they could not be checked (%(error)s)") % {"error": type(error).__name__}
            raise RetryTool(wrong_arguments(self._tool, [words])) from None
        extra = filled.model_extra or {}
        return {self._names[name]: getattr(filled, name) for name in self._names if name in filled.model_fields_set} | {
            name: value for name, value in given.items() if name in extra
        }

    def _is_its_default(self, name: str) -> bool:
        """Whether null is the default of a parameter whose annotation does not take it."""
        return name in self._shown and self._shown[name].only_default_is_null

    def _mended(self, given: Mapping[str, Any], problems: Iterable[ErrorDetails]) -> dict[str, Any]:
        """`given` without the nulls that stand for a default, and with lists and objects for their JSON text."""
        meant = dict(given)
        for problem in problems:
            name, kind = str(problem["loc"][0]) if problem["loc"] else "", _CONTAINERS.get(problem["type"])
            if meant.get(name, MISSING) is None and name in self._shown and not self._shown[name].is_required:
                del meant[name]
            elif kind is not None and len(problem["loc"]) == 1 and isinstance(text := meant.get(name), str):
                value = of_type(text, kind)
                meant[name] = text if value is None else value
        return meant

    def _problem(self, error: ErrorDetails) -> str:
        where = ".".join(map(str, error["loc"]))
        match error["type"]:
            case "missing":
                return _("missing: %(names)s") % {"names": repr(where)}
            case "extra_forbidden" if len(error["loc"]) == 1:
                return _no_argument(where, self._shown)
        words = _("the argument %(name)r is %(value)s: %(problem)s")
        return words % {"name": where, "value": shown(error["input"]), "problem": error["msg"]}


class BareJsonSchema(GenerateJsonSchema):
    """Without titles, which are useless to a model, and without warnings about defaults that are not JSON."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

    def generate(self, schema: Any, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
        generated = super().generate(schema, mode)
        generated.pop("title", None)
        return {"properties": {}} | generated

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def wrong_arguments(tool: str, problems: Iterable[str]) -> str:
    """The error for a call with wrong arguments; its text names the first few problems."""
    words = _("Wrong arguments for %(tool)s: %(problems)s. Correct them and call again.")
    return words % {"tool": tool, "problems": "; ".join(islice(problems, MOST_PROBLEMS))}


def unknown_arguments(names: Iterable[str], known: Iterable[str]) -> Iterable[str]:
    """A problem for each of `names`, which the tool does not take."""
    known = list(known)
    return (_no_argument(name, known) for name in names)


def shown(value: Any) -> str:
    """`value` as JSON, shortened to fit into a sentence."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = _("a %(type)s") % {"type": type(value).__name__}
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def json_type(value: Any) -> str:
    """The JSON name of the type of `value`, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return _("a boolean")
        case int() | float():
            return _("a number")
        case str():
            return _("a string")
        case list():
            return _("an array")
    return _("an object")


def _no_argument(name: str, known: Iterable[str]) -> str:
    if names := ", ".join(map(repr, sorted(known))):
        return _("there is no argument %(name)r; it takes %(names)s") % {"name": name, "names": names}
    return _("there is no argument %(name)r; it takes none") % {"name": name}


def _read(text: str) -> Any:
    # Not strict: models write line ends into texts as they are.
    return json.loads(text, parse_int=_integer, parse_constant=_no_constant, strict=False)


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(number := int(digits)) > BIGGEST_INT:
        words = _("the number %(digits)s does not fit 64 bits, give it as a string")
        raise ValueError(words % {"digits": digits[:40]})
    return number


def _no_constant(name: str) -> None:
    raise ValueError(_("%(name)s is not JSON, give a number or null") % {"name": name})
