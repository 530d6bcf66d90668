"""Arguments described by a JSON schema that the author wrote."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

import jsonschema
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from myagent.exceptions import AgentDefinitionError, RetryTool
from myagent.i18n import gettext as _
from myagent.tool.arguments import MOST_PROBLEMS, json_type, shown, unknown_arguments, wrong_arguments
from myagent.tool.mending import of_type
from myagent.tool.parameter import MISSING
from myagent.tool.signature import Signature

_COMBINES = {"$ref", "allOf", "anyOf", "oneOf", "patternProperties"}


class SchemaArguments:
    """Arguments described by `parameters`: checked, and converted only from a text to the type that it spells.

    A null in place of an optional argument is left out. What the code needs and the model left out is the default of
    the schema. `descriptions` are those of the docstring, for properties that have none.

    What `execute` cannot take is refused, too; with `additionalProperties: true` in the schema it is left out.
    Raises `AgentDefinitionError` when it is no valid schema, or does not fit the signature of `execute`.
    """

    def __init__(
        self, tool: str, parameters: Mapping[str, Any], signature: Signature, descriptions: Mapping[str, str]
    ) -> None:
        self._tool = tool
        self._signature = signature
        self.schema = _described(_object_schema(tool, parameters), descriptions)
        self._lenient = self.schema.get("additionalProperties") is True
        validator = _validator_class(tool, self.schema)
        _refuse_dangling_references(tool, self.schema)
        # The empty registry keeps a reference from being looked up in the network.
        self._validator = validator(self.schema, registry=Registry())
        self._compare_with_signature()

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        meant = self._meant(given)
        wrong = (error for error in self._validator.iter_errors(meant) if not self._is_null_default(error))
        errors = islice(wrong, MOST_PROBLEMS)
        completed = self._completed(meant)
        if problems := dict.fromkeys(chain(map(self._problem, errors), self._misfits(completed))):
            raise RetryTool(wrong_arguments(self._tool, problems))
        return {name: value for name, value in completed.items() if self._takes(name)}

    def _meant(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` without what models like to get wrong; what is right stays as it is."""
        meant = dict(given)
        for error in self._validator.iter_errors(meant):
            if error.validator not in ("type", "enum") or len(error.absolute_path) != 1 or error.parent is not None:
                continue
            name, value = str(error.absolute_path[0]), error.instance
            if value is None and self._is_optional(name):
                meant.pop(name, None)
            elif isinstance(value, str) and error.validator == "type":
                spelt = (of_type(value, kind) for kind in _types(error.validator_value))
                meant[name] = next((item for item in spelt if item is not None), value)
        return meant

    def _is_optional(self, name: str) -> bool:
        if name in self.schema.get("required", ()):
            return False
        return name not in self._signature.required or self._default(name) is not MISSING

    def _is_null_default(self, error: jsonschema.ValidationError) -> bool:
        """Whether `error` is about a null that the schema itself names as the default."""
        if error.instance is not None or error.validator not in ("type", "enum") or len(error.absolute_path) != 1:
            return False
        return self._default(str(error.absolute_path[0])) is None

    def _default(self, name: str) -> Any:
        about = self.schema["properties"].get(name)
        return about.get("default", MISSING) if isinstance(about, Mapping) else MISSING

    def _completed(self, given: dict[str, Any]) -> dict[str, Any]:
        """`given` with the schema's defaults for what the code has none."""
        missing = (name for name in self._signature.required if name not in given)
        defaults = {name: copy.deepcopy(self._default(name)) for name in missing}
        return given | {name: value for name, value in defaults.items() if value is not MISSING}

    def _misfits(self, given: Mapping[str, Any]) -> Iterator[str]:
        properties = self.schema["properties"]
        if not self._lenient and self.schema.get("additionalProperties") is not False:
            yield from unknown_arguments((name for name in given if not self._takes(name)), properties)
        asked = self.schema.get("required", ())
        missing = (name for name in self._signature.required if name not in given and name not in asked)
        yield from (_("missing: %(names)s") % {"names": repr(name)} for name in missing)

    def _takes(self, name: str) -> bool:
        signature = self._signature
        return name in signature.names or (signature.takes_any and name not in signature.hidden)

    def _compare_with_signature(self) -> None:
        """Raise for what could never work, before a model tries it."""
        properties = self.schema["properties"]
        if unknown := [name for name in properties if not self._takes(name)]:
            words = _(
                "The tool %(tool)r: `parameters` declares %(names)s, which execute() does not take. Add it to "
                "execute(), or remove it from `parameters`."
            )
            raise AgentDefinitionError(words % {"tool": self._tool, "names": ", ".join(map(repr, unknown))})
        if self._lenient or _COMBINES & self.schema.keys():
            return
        if missing := [name for name in self._signature.required if name not in properties]:
            words = _(
                "The tool %(tool)r: execute() needs %(names)s, which `parameters` does not declare. Add it to the "
                "properties, or give it a default."
            )
            raise AgentDefinitionError(words % {"tool": self._tool, "names": ", ".join(map(repr, missing))})

    def _problem(self, error: jsonschema.ValidationError) -> str:
        where = ".".join(map(str, error.absolute_path))
        rule: Any = error.validator_value
        given: Any = error.instance
        about = {"name": where, "value": shown(given)}
        match error.validator:
            case "required":
                missing = {"name": where, "names": ", ".join(repr(name) for name in rule if name not in given)}
                return (_("missing in %(name)r: %(names)s") if where else _("missing: %(names)s")) % missing
            case "additionalProperties" if rule is False and not where:
                properties = self.schema["properties"]
                return "; ".join(unknown_arguments((name for name in given if name not in properties), properties))
            case "type":
                expected = rule if isinstance(rule, str) else _(" or ").join(rule)
                words = _("the argument %(name)r is %(type)s, %(value)s; its type must be %(expected)s")
                return words % {**about, "type": json_type(given), "expected": expected}
            case "enum":
                choice = ", ".join(map(shown, rule))
                words = _("the argument %(name)r is %(value)s; it must be one of %(choice)s")
                return words % {**about, "choice": choice}
        words = _("the argument %(name)r is %(value)s, which breaks its rule %(rule)s: %(limit)s")
        return words % {**about, "rule": error.validator, "limit": shown(rule)}


def _types(rule: Any) -> list[str]:
    return [rule] if isinstance(rule, str) else list(rule)


def _object_schema(tool: str, parameters: Any) -> dict[str, Any]:
    if not isinstance(parameters, Mapping) or parameters.get("type", "object") != "object":
        words = _(
            "The tool %(tool)r: `parameters` should be the JSON schema of an object, such as %(such)s, not %(value)s."
        )
        such = '{"type": "object", "properties": {}}'
        raise AgentDefinitionError(words % {"tool": tool, "such": such, "value": shown(parameters)})
    schema = {"type": "object", "properties": {}, **parameters}
    if not isinstance(schema["properties"], Mapping):
        words = _("The tool %(tool)r: `properties` should be a dict of name and schema.")
        raise AgentDefinitionError(words % {"tool": tool})
    return schema


def _described(schema: dict[str, Any], descriptions: Mapping[str, str]) -> dict[str, Any]:
    properties = {
        name: {**about, "description": descriptions[name]}
        if name in descriptions and isinstance(about, Mapping) and not about.get("description")
        else about
        for name, about in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _validator_class(tool: str, schema: dict[str, Any]) -> Any:
    validator: Any = validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        validator.check_schema(schema, format_checker=validator.FORMAT_CHECKER)
    except jsonschema.SchemaError as error:
        where = ".".join(["parameters", *map(str, error.absolute_path)])
        words = _("The tool %(tool)r: `%(where)s` is not a valid JSON schema: %(error)s.")
        raise AgentDefinitionError(words % {"tool": tool, "where": where, "error": error.message}) from error
    except re.error as error:
        words = _("The tool %(tool)r: a pattern in `parameters` cannot be used: %(error)s.")
        raise AgentDefinitionError(words % {"tool": tool, "error": error}) from error
    return validator


def _refuse_dangling_references(tool: str, schema: dict[str, Any]) -> None:
    resource = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource("", resource).resolver()
    for reference in references_in(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            words = _(
                "The tool %(tool)r: `parameters` refers to %(reference)r, which is not in it. Write that schema under "
                '"$defs"; addresses are not fetched.'
            )
            raise AgentDefinitionError(words % {"tool": tool, "reference": reference}) from error


def references_in(schema: Any) -> Iterator[str]:
    """The `$ref` of a schema and of all that is in it."""
    if isinstance(schema, Mapping):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference
        for item in schema.values():
            yield from references_in(item)
    elif isinstance(schema, list):
        for item in schema:
            yield from references_in(item)
