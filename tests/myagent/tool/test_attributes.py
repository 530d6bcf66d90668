"""What authors give their tools: what is refused, with its line, and what is their own."""

from __future__ import annotations

import functools
import inspect
from textwrap import dedent
from typing import Any

import pytest

from myagent import AgentDefinitionError, BaseTool, RunContext, create_react_agent, tool
from myagent.tool.base_tool import asks
from myagent.tool.collection import ToolCollection

pytestmark = pytest.mark.usefixtures("in_english")


class Plain(BaseTool):
    name = "plain"

    async def execute(self) -> str:
        return "done"


def refusal(*tools: Any) -> AgentDefinitionError:
    with pytest.raises(AgentDefinitionError) as caught:
        ToolCollection(tools)
    return caught.value


def line_of(text: str) -> int:
    """The line of this file that ends with a mark."""
    source = inspect.getsource(inspect.getmodule(line_of)).splitlines()
    return next(number for number, line in enumerate(source, 1) if line.rstrip().endswith(f"# {text}"))


# --- asked, or refused ---


def test_a_wish_in_the_class_is_refused_with_its_line():
    class Foreign(Plain):
        count = 3
        needs_approval: bool = False  # in the class

    error = refusal(Foreign())
    assert "needs_approval means nothing here" in str(error) and "requires_confirmation" in str(error)
    assert (error.file, error.line) == (__file__, line_of("in the class"))


def test_a_wish_on_the_instance_is_refused_with_its_line():
    class Foreign(Plain):
        def __init__(self) -> None:
            self.count = 3
            self.approval_mode = "always"  # in the constructor

    assert refusal(Foreign()).line == line_of("in the constructor")


def test_a_wish_of_a_base_class_or_mixin_is_refused_with_its_line():
    class Careful:
        human_in_the_loop = True  # in the mixin

    class Foreign(Careful, Plain): ...

    class Below(Foreign): ...

    assert refusal(Below()).line == line_of("in the mixin")


def test_a_file_that_is_named_like_a_module_of_python():
    careless = type("Careless", (Plain,), {"requires_approval": True, "__module__": "turtle"})
    assert "requires_approval means nothing here" in str(refusal(careless()))


def test_a_wish_that_is_set_from_outside():
    foreign = Plain()
    foreign.requires_approval = True  # from outside
    assert refusal(foreign).line == line_of("from outside")
    made = Plain()
    vars(made)["dangerous"] = True
    assert "dangerous means nothing here" in str(refusal(made))


def test_a_wish_that_is_only_annotated():
    class Foreign(Plain):
        requires_approval: bool

    assert "requires_approval means nothing" in str(refusal(Foreign()))

    class Unset(Plain):
        user_confirm: bool

    assert "user_confirm has no value" in str(refusal(Unset()))


@pytest.mark.parametrize(
    "value", [True, False, None, "always", ["delete"], {"delete": True}, 1, lambda arguments: True]
)
def test_whatever_it_says_it_must_not_lull(value):
    foreign = Plain()
    foreign.interrupt_on = value
    assert "interrupt_on means nothing here" in str(refusal(foreign))


@pytest.mark.parametrize("name", ["_requires_approval", "_user_confirm"])
def test_a_private_wish(name):
    foreign = Plain()
    setattr(foreign, name, True)
    assert f"{name} means nothing here" in str(refusal(foreign))


def test_a_wish_on_a_function_that_becomes_a_tool():
    def pay() -> str:
        return "paid"

    pay.requires_approval = True
    assert "requires_approval means nothing" in str(refusal(pay))
    assert "requires_approval means nothing" in str(refusal(tool(name="half")(functools.partial(pay))))
    del pay.requires_approval
    pay.user_confirm = True
    assert asks(tool(pay)) is True
    assert asks(tool(name="half")(functools.partial(pay))) is True


@pytest.mark.parametrize("option", ["needs_approval", "require_confirmation", "human_in_the_loop"])
def test_a_wish_as_an_option(option):
    with pytest.raises(AgentDefinitionError, match=f"@tool has no option '{option}'.*requires_confirmation"):
        tool(**{option: True})
    with pytest.raises(AgentDefinitionError, match="Each tool says itself.*requires_confirmation=True"):
        create_react_agent(**{option: True})
    with pytest.raises(AgentDefinitionError, match=f"no option {option}.*requires_confirmation=True"):
        ToolCollection([Plain()], **{option: True})


def test_a_wish_as_a_keyword_of_the_base_class():
    class Foreign(Plain):
        def __init__(self) -> None:
            super().__init__(requires_approval=True)

    with pytest.raises(AgentDefinitionError, match="requires_approval means nothing here. Write requires_confirmation"):
        Foreign()


@pytest.mark.parametrize(
    "guard", ["__call__", "_request_user_confirmation", "set_confirmation_handler", "_traced_execute", "to_param"]
)
def test_a_method_that_would_be_passed_by(guard):
    source = f"""
        class Guarded(Plain):
            async def {guard}(self, **arguments):
                return await self.execute(**arguments)
        """
    names = {"Plain": Plain, "__name__": __name__}
    exec(dedent(source), names)
    assert guard in str(refusal(names["Guarded"]()))

    below = type("Below", (names["Guarded"],), {"__module__": __name__})
    assert guard in str(refusal(below()))


def test_a_rule_that_nobody_asks_is_refused_and_one_that_the_tool_asks_is_its_own():
    class Rule(Plain):
        def requires_approval(self, arguments: dict[str, Any]) -> bool:
            return True

    class Own(Rule):
        async def execute(self, run: RunContext) -> str:
            if self.requires_approval({}) and not await self.confirm(run):
                return "no"
            return "yes"

        async def confirm(self, run: RunContext) -> bool:
            return await run.confirm("Sure?")

    assert "requires_approval means nothing" in str(refusal(Rule()))
    assert asks(next(iter(ToolCollection([Own()])))) is False


def test_a_collection_of_the_authors_own_is_refused():
    with pytest.raises(AgentDefinitionError, match="passes a collection of your own by"):

        class Guarding(ToolCollection): ...


# --- asked at each call, whenever it is said ---


def test_what_is_said_after_the_load_counts(caplog):
    late = Plain()
    ToolCollection([late])
    assert asks(late) is False
    late.user_confirm = True
    assert asks(late) is True
    del late.user_confirm
    late.needs_approval = False
    assert asks(late) is True
    assert "given needs_approval" in caplog.text


@pytest.mark.parametrize("value", [None, 0, "", "no", [], 1])
def test_in_doubt_the_user_is_asked(value):
    doubtful = Plain()
    doubtful.requires_confirmation = value
    assert asks(doubtful) is not False
    assert doubtful.must_confirm({})


@pytest.mark.parametrize("name", ["needs_confirmation", "must_confirm"])
def test_a_rule_on_the_object_is_asked(name):
    ruled = Plain()
    setattr(ruled, name, lambda arguments: True)
    ToolCollection([ruled])
    assert asks(ruled) is None


def test_one_of_the_two_is_enough():
    class Either(Plain):
        user_confirm = staticmethod(lambda arguments: arguments["path"] == "/")
        requires_confirmation = False

    assert asks(Either()) is None
    assert Either().must_confirm({"path": "/"}) and not Either().must_confirm({"path": "/tmp"})
    assert Either().must_confirm({})  # the rule fails


# --- slips, and what is of the wrong kind ---


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("time_out", 5, "timeout"),
        ("time_out", "5", "timeout"),
        ("maxObserve", 100, "max_observe"),
        ("idempotant", True, "idempotent"),
        ("parameter", {"type": "object"}, "parameters"),
    ],
)
def test_a_slip_is_refused(name, value, meant):
    slip = type("Slip", (Plain,), {name: value, "__module__": __name__})
    assert f"{name} means nothing here. Write {meant}," in str(refusal(slip()))


def test_what_is_like_a_known_name_and_the_tools_own():
    class Own(Plain):
        timeout = 5
        time_out = 3  # both are there
        names = ("a", "b")
        descriptions = {"a": "b"}
        parameter = "no schema"
        MAX_OBSERVE = 5  # read below
        confirmed_orders: list[str] = []
        approvals = 0

        async def execute(self) -> str:
            return "x" * self.MAX_OBSERVE

    assert ToolCollection([Own()]).names == ("plain",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", "30"),
        ("user_confirm", "yes"),
        ("user_confirm", None),
        ("requires_confirmation", 1),
        ("description", 5),
    ],
)
def test_the_wrong_kind_is_refused_with_its_line(name, value):
    class Wrong(Plain):
        def __init__(self) -> None:
            setattr(self, name, value)

    error = refusal(Wrong())
    assert f"{name}={value!r}, but it should be" in str(error)
    assert error.file == __file__


@pytest.mark.parametrize("name", ["schema", "check", "bind", "is_async"])
def test_a_method_of_the_base_class_is_not_hidden(name):
    hiding = type("Hiding", (Plain,), {name: lambda self, *given: None, "__module__": __name__})
    assert f"has an attribute '{name}', which hides a method of BaseTool" in str(refusal(hiding()))


@pytest.mark.parametrize("name", ["_run", "_arun", "forward", "run", "__call__"])
def test_a_method_that_others_call_instead_of_execute(name):
    foreign = type("Foreign", (BaseTool,), {"name": "foreign", name: lambda self, x: x, "__module__": __name__})
    assert f"Rename its method {name} to execute" in str(refusal(foreign()))


def test_a_private_name_of_the_authors_does_not_break_the_tool():
    class Dictionary(Plain):
        def __init__(self) -> None:
            self._definition = {"a": "b"}
            self._run = self._finish = None

    assert ToolCollection([Dictionary()]).schemas()
