"""Tools whose authors say in many ways that a person is to be asked first. None of them may run before a yes."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from myagent import ToolCallAgent, create_react_agent
from myagent.tool import BaseTool, ToolCollection, ToolResult, tool

RAN = "it ran"


class Guarded(BaseTool):
    """What the tools below share."""

    description = "Does what cannot be undone"

    async def execute(self) -> ToolResult:
        return ToolResult(output=RAN)


class Bare(Guarded):
    name = "bare"
    user_confirm = True


class Annotation(Guarded):
    name: str = "annotation"
    user_confirm: bool = True


class ClassVariable(Guarded):
    name: ClassVar[str] = "class_variable"
    user_confirm: ClassVar[bool] = True


class FieldOfPydantic(Guarded):
    name: str = Field(default="field")
    user_confirm: bool = Field(default=True, exclude=True)


class Factory(Guarded):
    name: str = "factory"
    user_confirm: bool = Field(default_factory=lambda: True)


class InAnnotation(Guarded):
    name: str = "in_annotation"
    user_confirm: Annotated[bool, Field(default=True)]


class Inherited(FieldOfPydantic):
    name: str = "inherited"


class Mixin:
    user_confirm: bool = Field(True)


class Mixed(Mixin, Guarded):
    name: str = "mixed"


class Instance(Guarded):
    name = "instance"

    def __init__(self, careful: bool = True) -> None:
        self.user_confirm = careful


class Keyword(Guarded):
    name: str = "keyword"

    def __init__(self, **keywords: Any) -> None:
        super().__init__(user_confirm=True, **keywords)


class AfterInit(Guarded):
    name: str = "after_init"

    def model_post_init(self, context: Any) -> None:
        self.user_confirm = True


class Property(Guarded):
    name = "property"

    @property
    def user_confirm(self) -> bool:
        return True


class Rule(Guarded):
    name = "rule"
    user_confirm = staticmethod(lambda arguments: not arguments)


class Method(Guarded):
    name = "method"

    def user_confirm(self, arguments: dict[str, Any]) -> bool:
        return True


class Late(Guarded):
    name = "late"


class OnTheObject(Guarded):
    name = "on_the_object"


@tool(user_confirm=True)
def decorated() -> str:
    """Does what cannot be undone."""
    return RAN


def marked() -> str:
    """Does what cannot be undone."""
    return RAN


marked.user_confirm = True  # type: ignore[attr-defined]

late, on_the_object = Late(), OnTheObject()
on_the_object.needs_confirmation = lambda arguments: True  # type: ignore[method-assign]


class Desk(ToolCallAgent):
    """An agent as a class, beside the one below."""

    name: str = "desk"
    available_tools: ToolCollection = Field(default_factory=lambda: ToolCollection(Bare(), Keyword()))


kinds = (Bare, Annotation, ClassVariable, FieldOfPydantic, Factory, InAnnotation, Inherited, Mixed, Instance)
kinds += (Keyword, AfterInit, Property, Rule, Method)
agent = create_react_agent(
    name="guards",
    tools=ToolCollection(
        Bare(name="given"),
        *(kind() for kind in kinds),
        late,
        on_the_object,
        decorated,
        marked,
    ),
    system_prompt="You do what you are told.",
)
late.user_confirm = True
