from typing import Any

import pytest

from sandbox.intrinsics import NO_VALUE, Intrinsics, TemplateError, parameter_values

NAMES = {"Table": "ledger", "Roles": ["one", "two"], "AWS::NoValue": NO_VALUE}
CONDITIONS = {
    "Yes": {"Fn::Equals": [{"Ref": "Table"}, "ledger"]},
    "No": {"Fn::Not": [{"Condition": "Yes"}]},
    "Both": {"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]},
    "Either": {"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]},
    "Odd": {"Fn::Contains": []},
}


def ref(name: str) -> Any:
    """What a name stands for in these tests."""
    if name not in NAMES:
        raise TemplateError(f"no {name}")
    return NAMES[name]


INTRINSICS = Intrinsics(
    conditions=CONDITIONS,
    mappings={"Sizes": {"small": {"Bytes": "1"}}},
    ref=ref,
    attribute=lambda name, attribute: f"{name}/{attribute}",
)


@pytest.mark.parametrize(
    ("node", "value"),
    [
        (3, 3),
        ({"Ref": "Table"}, "ledger"),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "Table/Arn"),
        ({"Fn::GetAtt": "Table.Stream.Arn"}, "Table/Stream.Arn"),
        ({"Fn::Sub": "a-${Table}-${Queue.Arn}-${!Literal}"}, "a-ledger-Queue/Arn-${Literal}"),
        ({"Fn::Sub": ["${Mine} ${Table}", {"Mine": {"Ref": "Table"}}]}, "ledger ledger"),
        ({"Fn::Join": [",", {"Ref": "Roles"}]}, "one,two"),
        ({"Fn::Join": ["", ["a", {"Ref": "Table"}]]}, "aledger"),
        ({"Fn::Split": [",", {"Fn::Join": [",", {"Ref": "Roles"}]}]}, ["one", "two"]),
        ({"Fn::Select": ["1", {"Ref": "Roles"}]}, "two"),
        ({"Fn::FindInMap": ["Sizes", "small", "Bytes"]}, "1"),
        ({"Fn::If": ["Yes", "then", {"Ref": "Nothing"}]}, "then"),
        ({"Fn::If": ["No", {"Ref": "Nothing"}, "else"]}, "else"),
        ([1, {"Ref": "AWS::NoValue"}, {"a": {"Ref": "AWS::NoValue"}, "b": 2}], [1, {"b": 2}]),
        ({"Condition": {"StringEquals": {}}}, {"Condition": {"StringEquals": {}}}),
    ],
)
def test_functions_are_worked_out(node: Any, value: Any) -> None:
    """Every function gives what CloudFormation gives, and a policy's Condition is left alone."""
    assert INTRINSICS.resolve(node) == value


@pytest.mark.parametrize(("name", "holds"), [("Yes", True), ("No", False), ("Both", False), ("Either", True)])
def test_conditions_are_worked_out(name: str, holds: bool) -> None:  # noqa: FBT001 - the expected value
    """A condition may rest on others."""
    assert INTRINSICS.holds(name) is holds


@pytest.mark.parametrize(
    "node",
    [
        {"Ref": "Nothing"},
        {"Fn::ImportValue": "elsewhere"},
        {"Fn::Sub": "${Roles}"},
        {"Fn::FindInMap": ["Sizes", "large", "Bytes"]},
        {"Fn::If": ["Maybe", 1, 2]},
        {"Fn::If": ["Odd", 1, 2]},
    ],
)
def test_what_cannot_be_deployed_is_an_error(node: Any) -> None:
    """An unknown name, function or condition, or a list inside text, is never passed over."""
    with pytest.raises(TemplateError):
        INTRINSICS.resolve(node)


DECLARED = {
    "Mode": {"Type": "String", "Default": "ask", "AllowedValues": ["ask", "auto"]},
    "Days": {"Type": "Number", "Default": 0, "MinValue": 0, "MaxValue": 9},
    "Arns": {
        "Type": "CommaDelimitedList",
        "Default": "",
        "AllowedPattern": "(arn:.+)?",
        "ConstraintDescription": "ARNs",
    },
    "Name": {"Type": "String"},
}


def test_parameters_take_defaults_and_lists_are_split() -> None:
    """What is not given is the default, as text; a list's items lose the space around them."""
    values = parameter_values(DECLARED, {"Name": "x", "Arns": "arn:a, arn:b"})
    assert values == {"Mode": "ask", "Days": "0", "Arns": ["arn:a", "arn:b"], "Name": "x"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "Name has no default"),
        ({"Name": "x", "Nmae": "y"}, "no such parameter: Nmae"),
        ({"Name": "x", "Mode": "never"}, "one of ask, auto"),
        ({"Name": "x", "Days": "ten"}, "must be a number"),
        ({"Name": "x", "Days": "10"}, "from 0 to 9"),
        ({"Name": "x", "Arns": "arn:a,role"}, "'role': ARNs"),
    ],
)
def test_parameters_are_checked(given: dict[str, str], says: str) -> None:
    """A parameter that CloudFormation would refuse is refused, with its name and the reason."""
    with pytest.raises(TemplateError, match=says):
        parameter_values(DECLARED, given)
