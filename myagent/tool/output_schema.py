"""A JSON schema of an answer: whether it is one that can be checked, and the check.

It may come with a message, so from anybody: what would make its check take long is refused there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import orjson
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from myagent.exceptions import AgentDefinitionError
from myagent.i18n import gettext as _
from myagent.text import shorten
from myagent.tool.arguments import shown
from myagent.tool.json_schema import references_in

MAX_KIB = 32
"""Of a schema that comes with a message, as JSON."""
MOST_NODES = 2_000
"""Of such a schema with its references written out."""
_LONGEST_PROBLEM = 300
_REFUSED = frozenset(
    {
        *("pattern", "patternProperties", "unevaluatedProperties", "unevaluatedItems"),
        *("$dynamicRef", "$recursiveRef", "$id", "id", "$anchor", "$dynamicAnchor"),
    }
)
"""What takes long for some values, or changes what references mean."""
_NAMING = ("properties", "dependentSchemas")
_DATA = ("$defs", "definitions", "enum", "const", "default", "examples", "required")
"""Keywords whose value is no schema that is gone through where it stands."""


class SchemaCheck:
    """The check of values by a JSON schema. Raises `AgentDefinitionError` for what is no schema of an object."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        if (problem := schema_problem(schema)) is not None:
            raise AgentDefinitionError(_("output: %(problem)s") % {"problem": problem})
        self.schema = of_object(schema)
        # The empty registry keeps a reference from being looked up in the network.
        self._validator = _validator_class(self.schema)(self.schema, registry=Registry())

    def problems(self, value: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with `value`, each with the path of its field."""
        for error in self._validator.iter_errors(dict(value)):
            path = ".".join(map(str, error.absolute_path))
            if error.validator == "required" and isinstance(error.instance, Mapping):
                missing = [name for name in error.validator_value if name not in error.instance]
                # One error for each: the message names it.
                named = next((name for name in missing if repr(name) in error.message), missing[0])
                yield _("%(path)s: it is missing") % {"path": f"{path}.{named}" if path else named}
            else:
                yield f"{path or '$'}: {shorten(error.message, _LONGEST_PROBLEM)[0]}"


def of_object(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema`, which is of an object, as endpoints take it: without a reference in the place of its fields."""
    whole = dict(schema)
    if isinstance(reference := whole.get("$ref"), str) and "$defs" in whole:
        whole.pop("$ref")
        whole = {**whole, **whole["$defs"].get(reference.rpartition("/")[2], {})}
    return {"type": "object", "properties": {}, **whole}


def schema_problem(schema: Any) -> str | None:
    """Why `schema` cannot be the schema of an answer, None when it can."""
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        words = _("it should be the JSON schema of an object, such as %(such)s, not %(value)s")
        such = '{"type": "object", "properties": {…}}'
        return words % {"such": such, "value": shown(schema)}
    kind = _validator_class(schema)
    try:
        kind.check_schema(dict(schema), format_checker=kind.FORMAT_CHECKER)
    except jsonschema.SchemaError as error:
        where = ".".join(map(str, error.absolute_path)) or "$"
        words = _("%(path)s is no valid JSON schema: %(problem)s")
        return words % {"path": where, "problem": shorten(error.message, _LONGEST_PROBLEM)[0]}
    except re.error as error:
        return _("a pattern cannot be used: %(error)s") % {"error": error}
    resolver = Registry().with_resource("", DRAFT202012.create_resource(dict(schema))).resolver()
    for reference in references_in(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            words = _('it refers to %(reference)r, which is not in it. Write that schema under "$defs"')
            return words % {"reference": reference}
    return None


def strangers_schema_problem(schema: Any) -> str | None:
    """The same for a schema that somebody sent: its check must not take long, whatever it is."""
    try:
        if len(orjson.dumps(schema)) > MAX_KIB * 1024:
            return _("it has at most %(limit)d KiB as JSON") % {"limit": MAX_KIB}
        if isinstance(schema, Mapping) and (problem := _Expansion(schema).problem()) is not None:
            return problem
        return schema_problem(schema)
    except RecursionError:
        return _("it is nested too deeply")


class _Expansion:
    """A schema with its references written out, as the check goes through it."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def problem(self) -> str | None:
        try:
            self._walk(self._root, ())
        except ValueError as error:
            return str(error)
        return None

    def _walk(self, schema: Any, inside: tuple[str, ...], *, has_names: bool = False) -> None:
        """Go through `schema`, which is a mapping of names and schemas if it `has_names`."""
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise ValueError(_("it has too many parts, or its references multiply"))
        if isinstance(schema, list):
            for item in schema:
                self._walk(item, inside)
        if not isinstance(schema, Mapping):
            return
        if not has_names and (refused := _REFUSED.intersection(schema)):
            words = _("%(keywords)s cannot be used in the schema of a message")
            raise ValueError(words % {"keywords": ", ".join(sorted(refused))})
        for name, item in schema.items():
            if has_names:
                self._walk(item, inside)
            elif name == "$ref" and isinstance(item, str):
                self._follow(item, inside)
            elif name not in _DATA:
                self._walk(item, inside, has_names=name in _NAMING)

    def _follow(self, reference: str, inside: tuple[str, ...]) -> None:
        if reference in inside:
            raise ValueError(_("it refers to itself (%(reference)s)") % {"reference": reference})
        found: Any = self._root
        for name in filter(None, reference.removeprefix("#").split("/")):
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        if not reference.startswith("#") or found is None:
            words = _('it refers to %(reference)r, which is not in it. Write that schema under "$defs"')
            raise ValueError(words % {"reference": reference})
        self._walk(found, (*inside, reference))


def _validator_class(schema: Mapping[str, Any]) -> Any:
    return validator_for(dict(schema), default=jsonschema.Draft202012Validator)
