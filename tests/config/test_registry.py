"""Registries find a builder by its name, and its signature is the schema of its options."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dlexp.cli.main import main
from dlexp.config.component import Component
from dlexp.config.registry import Registry, import_modules
from dlexp.config.schema import Positive
from dlexp.errors import UserError


def box(side: Positive, colour: str = "red", *, classes: int = 0) -> dict[str, Any]:
    return {"side": side, "colour": colour, "classes": classes}


def path(points: tuple[float, ...]) -> tuple[float, ...]:
    return points


SHAPES: Registry[Any] = Registry("shape", {"box": box, "path": path, "dot": lambda: "dot"})


def module(name: str, **content: object) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


def test_a_name_is_looked_up_in_dlexp_first_then_in_imports_in_order() -> None:
    def theirs() -> None: ...

    def others() -> None: ...

    imports = [module("one", box=theirs, new=theirs), module("two", new=others, other=others)]
    assert SHAPES.find("box", imports) is box
    assert SHAPES.find("new", imports) is theirs and SHAPES.find("other", imports) is others


@pytest.mark.parametrize(
    ("name", "imports", "message"),
    [
        ("bx", [], r"^shape\.name=bx: there is no such shape\. Did you mean box\?$"),
        ("zzz", [], r"no such shape\. Known: box, dot, path\."),
        ("zzz", [module("mine")], "no such shape or in mine"),
        ("system", [module("mine", system=__import__("os").system)], "no such shape"),  # imported there from Python
        ("size", [module("mine", size=3)], "no such shape"),
    ],
)
def test_an_unknown_name_gets_a_hint(name: str, imports: list[ModuleType], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SHAPES.find(name, imports)


def test_binding_checks_options_and_fills_defaults_in() -> None:
    assert SHAPES.bind(Component("box", {"side": 2})) == Component("box", {"side": 2.0, "colour": "red"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"shape\.name=null must be text"),
        ({"name": ["box"]}, r"shape\.name=\['box'\] must be text"),
        ({"name": "box"}, r"shape\.side is not set, and has no default"),
        ({"name": "box", "side": -1}, r"shape\.side=-1\.0: must be above 0"),
        ({"name": "box", "side": 1, "color": "x"}, r"no shape\.color\. Did you mean colour\?"),
        ({"name": "box", "side": 1, "classes": 3}, r"no shape\.classes"),  # a fact of the run
    ],
)
def test_binding_names_the_option_that_is_wrong(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SHAPES.bind(Component.of(options, "shape"))


@pytest.mark.parametrize(
    ("choice", "bound"),
    [
        ("dot", Component("dot")),
        ({"dot": None}, Component("dot")),
        ({"box": 2}, Component("box", {"side": 2.0, "colour": "red"})),
        ({"box": [2, "blue"]}, Component("box", {"side": 2.0, "colour": "blue"})),
        ({"box": {"colour": "blue", "side": 2}}, Component("box", {"side": 2.0, "colour": "blue"})),
        ({"path": [1, 2]}, Component("path", {"points": (1.0, 2.0)})),  # the one list is the one parameter
    ],
)
def test_a_choice_is_a_name_or_a_name_with_its_arguments(choice: object, bound: Component) -> None:
    assert SHAPES.bind_choice(choice) == bound


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"box": [1, "red", 3]}, "shape: box takes 2 values, not 3"),
        ({"box": 1, "dot": 2}, "is neither a name nor one 'name: arguments'"),
        (7, "shape: 7 is neither a name"),
    ],
)
def test_a_choice_of_another_form_is_refused(choice: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SHAPES.bind_choice(choice)


def test_a_builder_gets_only_the_facts_that_it_names() -> None:
    chosen = SHAPES.bind(Component("box", {"side": 2}))
    assert SHAPES.build(chosen, classes=10, device="cpu") == {"side": 2.0, "colour": "red", "classes": 10}
    assert SHAPES.build(Component("dot"), classes=10) == "dot"


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Forget an imported module, and what the import adds to sys.path, after the test."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    return lambda name: monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_module_is_imported_from_the_working_directory(forgotten: Callable[[str], None]) -> None:
    Path("shapes_of_mine.py").write_text("def star(): return 'star'")
    forgotten("shapes_of_mine")
    imports = import_modules(["shapes_of_mine"])
    assert SHAPES.build(SHAPES.bind(Component("star"), imports), imports) == "star"
    del sys.modules["shapes_of_mine"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../x", "is not the name of a module"),
        ("os.path", "is Python's own module"),
        ("not_there", "no module not_there in .* or installed"),
    ],
)
def test_a_name_that_is_not_a_user_s_module_is_refused(
    name: str, message: str, forgotten: Callable[[str], None]
) -> None:
    with pytest.raises(UserError, match=message):
        import_modules([name])


def test_an_error_inside_a_user_s_module_is_not_hidden(forgotten: Callable[[str], None]) -> None:
    Path("broken_of_mine.py").write_text("import not_there_either")
    with pytest.raises(ModuleNotFoundError, match="not_there_either"):
        import_modules(["broken_of_mine"])


WRONG = """
import torch

def tuples(): return (1, 2)
def plain(): return torch.nn.functional.cross_entropy
def theirs(*, optimizer): return torch.optim.lr_scheduler.StepLR(optimizer, 1)
def nothing(*, parameters): return None
def tensor(*, num_outputs): return torch.ones(num_outputs)
def number(): return 3
def unknown(*, depth): return torch.nn.Linear(4, 3)
"""


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("dataset.name=tuples", "tuples() returns (1, 2). These lines would be right:\nfrom dlexp.data.source import"),
        ("loss.name=plain", "return Loss(function)"),
        ("scheduler.name=theirs", 'return Schedule(scheduler, "epoch")'),
        ("optimizer.name=nothing", "nothing() returns None. These lines would be right:\ndef mine("),
        ("model.name=tensor", "def net(*, input_shape, num_outputs):"),
        ("regularizer.name=number", "return lambda weights:"),
        ("model.name=unknown", "unknown asks for depth after its *, where only facts of the run stand (input_shape"),
    ],
)
def test_a_builder_of_the_wrong_kind_is_told_what_is_right(
    chosen: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("wrong.py").write_text(WRONG)
    group = chosen.partition(".")[0]
    (Path("conf") / group).mkdir(parents=True)
    (Path("conf") / group / "own.yaml").write_text("name: own\n")
    assert main(["train", "imports=[wrong]", "dataset.test_to_train_ratio=0.25", f"{group}=own", chosen]) == 2
    errors = capsys.readouterr().err
    assert message in errors and "Traceback" not in errors
