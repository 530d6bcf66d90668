"""What is wrong with the schema of a tool's parameters, as seen by the model that has to fill them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry

from myagent.i18n import gettext as _
from myagent.inspection.finding import Finding, Severity
from myagent.tool.base_tool import BaseTool
from myagent.tool.signature import read_signature

_DEPTH = 12
_TYPES = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}
_COMBINATIONS = ("anyOf", "oneOf", "allOf", "not", "enum")
_RANGES = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"))


def inspect_parameters(tool: BaseTool) -> Iterator[Finding]:
    """What a look at the parameters of `tool` finds; places are left to the caller."""
    yield from _Parameters(tool).findings()


@dataclass(frozen=True)
class _Parameters:
    tool: BaseTool

    @cached_property
    def root(self) -> Mapping[str, Any]:
        schema: Mapping[str, Any] = self.tool.schema()["function"]["parameters"]
        return schema

    @property
    def properties(self) -> Mapping[str, Any]:
        return self.root.get("properties") or {}

    def findings(self) -> Iterator[Finding]:
        for name, about in self.properties.items():
            yield from self._parameter(name, about)
        yield from self._required()
        yield from self._extra()
        for word in _COMBINATIONS:
            if word in self.root:
                yield self._finding(
                    "schema_combination",
                    Severity.WARNING,
                    _("The parameters of '%(tool)s' have %(word)r at their top, which many models' endpoints refuse."),
                    _("Use one plain list of properties, and check what belongs together inside the tool."),
                    word=word,
                )
        if self._is_recursive(self.root, ()):
            yield self._finding(
                "schema_recursion",
                Severity.WARNING,
                _("The parameters of '%(tool)s' contain themselves, which many models cannot fill."),
                _("Use a list of flat objects that name their parent."),
            )

    def _parameter(self, name: str, about: Any) -> Iterator[Finding]:
        meant = self._resolved(about)
        if not (isinstance(meant, Mapping) and _TYPES & meant.keys()) and about is not False:
            yield self._finding(
                "parameter_no_type",
                Severity.WARNING,
                _("The parameter '%(name)s' of '%(tool)s' has no type: the model has to guess."),
                _('Annotate it, or give it a "type" in `parameters`.'),
                name=name,
            )
        if not self._is_described(about):
            yield self._finding(
                "parameter_no_description",
                Severity.WARNING,
                _("The parameter '%(name)s' of '%(tool)s' has no description."),
                _('Say what it is, under `Args:` in the docstring or as its "description" in `parameters`.'),
                name=name,
            )
        if not self._can_be_filled(about):
            is_required = name in self.root.get("required", ())
            yield self._finding(
                "parameter_unfillable",
                Severity.ERROR if is_required else Severity.WARNING,
                _("No value fits the parameter '%(name)s' of '%(tool)s'."),
                _('Look at its "enum" and its limits: they contradict each other or leave nothing.'),
                name=name,
            )
        else:
            yield from self._samples(name, about)
        if self._has_bare_array(about):
            yield self._finding(
                "array_no_items",
                Severity.WARNING,
                _("The parameter '%(name)s' of '%(tool)s' is an array that does not say of what; OpenAI refuses that."),
                _('Add "items" with the schema of an element.'),
                name=name,
            )

    def _samples(self, name: str, about: Any) -> Iterator[Finding]:
        """Examples and defaults that the tool itself would refuse."""
        if not isinstance(about, Mapping):
            return
        default = [about["default"]] if about.get("default") is not None else []
        for value in [*(about.get("examples") or ()), *default]:
            if not self._fits(about, value):
                yield self._finding(
                    "bad_example",
                    Severity.WARNING,
                    _("The parameter '%(name)s' of '%(tool)s' shows the value %(value)r, which it does not take."),
                    _("Correct the value, or the schema."),
                    name=name,
                    value=value,
                )

    def _required(self) -> Iterator[Finding]:
        for name in self.root.get("required", ()):
            if name not in self.properties:
                takes_any = read_signature(self.tool.execute, tool=self.tool.name).takes_any
                yield self._finding(
                    "required_undeclared",
                    Severity.WARNING if takes_any else Severity.ERROR,
                    _("'%(tool)s' requires '%(name)s', which its properties do not declare."),
                    _('Declare it among the "properties", or take it off "required".'),
                    name=name,
                )

    def _extra(self) -> Iterator[Finding]:
        more = self.root.get("additionalProperties", False)
        if self.tool.parameters is None or more is False:
            return
        if not read_signature(self.tool.execute, tool=self.tool.name).takes_any:
            yield self._finding(
                "additional_properties",
                Severity.WARNING,
                _("'%(tool)s' lets the model give further arguments, which execute() does not take."),
                _('Set "additionalProperties": false, or let execute() take **arguments.'),
            )

    # --- what a schema means ---

    def _resolved(self, about: Any) -> Any:
        for _step in range(_DEPTH):
            if not isinstance(about, Mapping) or not isinstance(about.get("$ref"), str):
                break
            about = self._target(about["$ref"])
        return about

    def _target(self, reference: str) -> Any:
        found: Any = self.root
        for part in reference.removeprefix("#").strip("/").split("/"):
            if part:
                found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found

    def _is_described(self, about: Any) -> bool:
        if not isinstance(about, Mapping):
            return False
        meant = self._resolved(about)
        return bool(about.get("description") or (isinstance(meant, Mapping) and meant.get("description")))

    def _fits(self, about: Any, value: Any) -> bool:
        if isinstance(about, Mapping):
            about = {**{key: self.root[key] for key in ("$defs", "definitions") if key in self.root}, **about}
        return bool(Draft202012Validator(about, registry=Registry()).is_valid(value))

    def _can_be_filled(self, about: Any, depth: int = _DEPTH) -> bool:
        """Whether there is a value that fits; yes where it is not plain to see that there is none."""
        about = self._resolved(about)
        if not isinstance(about, Mapping) or not depth:
            return about is not False
        if "enum" in about or "const" in about:
            values = about["enum"] if "enum" in about else [about["const"]]
            return any(self._fits(about, value) for value in values)
        if any(_is_above(about.get(least), about.get(most)) for least, most in _RANGES):
            return False
        for word in ("anyOf", "oneOf"):
            if word in about and not any(self._can_be_filled(choice, depth - 1) for choice in about[word]):
                return False
        inner = [about.get("properties", {}).get(name, {}) for name in about.get("required", ())]
        if about.get("type") == "array" and about.get("minItems", 0) > 0:
            inner.append(about.get("items", {}))
        return all(self._can_be_filled(schema, depth - 1) for schema in [*inner, *about.get("allOf", ())])

    def _has_bare_array(self, about: Any, depth: int = _DEPTH) -> bool:
        about = self._resolved(about)
        if not isinstance(about, Mapping) or not depth:
            return False
        if about.get("type") == "array" and not {"items", "prefixItems"} & about.keys():
            return True
        return any(self._has_bare_array(inner, depth - 1) for inner in _inside(about))

    def _is_recursive(self, about: Any, way: tuple[str, ...]) -> bool:
        if isinstance(about, Mapping) and isinstance(reference := about.get("$ref"), str):
            if reference in way or reference == "#":
                return True
            return self._is_recursive(self._target(reference), (*way, reference))
        return isinstance(about, Mapping) and any(self._is_recursive(inner, way) for inner in _inside(about))

    def _finding(self, code: str, severity: Severity, problem: str, cure: str, **words: Any) -> Finding:
        known = {"tool": self.tool.name, **words}
        return Finding(code=code, severity=severity, problem=problem % known, cure=cure, tool=self.tool.name)


def _inside(about: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas right below one."""
    properties = about.get("properties")
    yield from properties.values() if isinstance(properties, Mapping) else ()
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        yield from about.get(word) or ()
    for word in ("items", "additionalProperties", "not"):
        if isinstance(about.get(word), Mapping):
            yield about[word]


def _is_above(least: Any, most: Any) -> bool:
    return isinstance(least, int | float) and isinstance(most, int | float) and least > most
