"""CloudFormation's intrinsic functions and parameters, worked out to plain values as a deployment would."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

NO_VALUE: Final = object()
"""What `AWS::NoValue` leaves behind: the key or item that holds it disappears."""

_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")

Lookup = Callable[[str], Any]
"""A logical id, parameter or pseudo parameter -> its `Ref` value."""
Attribute = Callable[[str, str], Any]
"""A logical id and an attribute's name -> the `Fn::GetAtt` value."""


class TemplateError(ValueError):
    """The template cannot be deployed as it is, or with these parameters; the message says where and why."""


def parameter_values(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str | list[str]]:
    """The value of every parameter: what was given or its default, checked as CloudFormation checks it.

    A `CommaDelimitedList` becomes a list, every other type stays text.

    Raises:
        TemplateError: A parameter is unknown, missing, or outside what its declaration allows.
    """
    unknown = set(given) - set(declared)
    if unknown:
        raise TemplateError(f"no such parameter: {', '.join(sorted(unknown))}")
    return {name: _parameter_value(name, declaration, given) for name, declaration in declared.items()}


def _parameter_value(name: str, declaration: Mapping[str, Any], given: Mapping[str, str]) -> str | list[str]:
    if name not in given and "Default" not in declaration:
        raise TemplateError(f"parameter {name} has no default and was not given")
    value = given.get(name, str(declaration.get("Default", "")))
    items = [item.strip() for item in value.split(",")] if declaration["Type"] == "CommaDelimitedList" else [value]
    allowed = [str(choice) for choice in declaration.get("AllowedValues", [])]
    for item in items:
        if allowed and item not in allowed:
            raise TemplateError(f"parameter {name} is {item!r}: one of {', '.join(allowed)}")
        if "AllowedPattern" in declaration and not re.fullmatch(declaration["AllowedPattern"], item):
            raise TemplateError(f"parameter {name} is {item!r}: {declaration.get('ConstraintDescription', 'bad form')}")
        if declaration["Type"] == "Number":
            _check_number(name, item, declaration)
    return items if declaration["Type"] == "CommaDelimitedList" else value


def _check_number(name: str, item: str, declaration: Mapping[str, Any]) -> None:
    try:
        number = float(item)
    except ValueError as error:
        raise TemplateError(f"parameter {name} is {item!r}: it must be a number") from error
    low, high = declaration.get("MinValue", number), declaration.get("MaxValue", number)
    if not low <= number <= high:
        raise TemplateError(f"parameter {name} is {item}: it must be from {low} to {high}")


class Intrinsics:
    """Works out intrinsic functions, given how to look a name up.

    Args:
        conditions: The template's `Conditions`.
        mappings: The template's `Mappings`.
        ref: What `Ref` gives for a name.
        attribute: What `Fn::GetAtt` gives for a logical id and an attribute.
    """

    def __init__(
        self, *, conditions: Mapping[str, Any], mappings: Mapping[str, Any], ref: Lookup, attribute: Attribute
    ) -> None:
        self._conditions = conditions
        self._mappings = mappings
        self._ref = ref
        self._attribute = attribute
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find_in_map,
        }

    def resolve(self, node: Any) -> Any:
        """The node with every function worked out, and what `AWS::NoValue` stands for left out.

        Raises:
            TemplateError: A function is not known, or names something that is not there.
        """
        if isinstance(node, Mapping):
            return self._mapping(node)
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not NO_VALUE]
        return node

    def holds(self, name: str) -> bool:
        """Whether the named condition of the template holds.

        Raises:
            TemplateError: There is no such condition.
        """
        if name not in self._conditions:
            raise TemplateError(f"no such condition: {name}")
        return self._test(self._conditions[name])

    def check(self, rules: Mapping[str, Any]) -> None:
        """Refuse parameters that do not go together, by the template's `Rules`.

        Raises:
            TemplateError: An assertion does not hold; the message is its description.
        """
        for name, rule in rules.items():
            if "RuleCondition" in rule and not self._test(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self._test(assertion["Assert"]):
                    raise TemplateError(f"{name}: {assertion['AssertDescription']}")

    def _mapping(self, node: Mapping[str, Any]) -> Any:
        if len(node) == 1:
            (key,) = node
            if key in self._functions:
                return self._functions[key](node[key])
            if str(key).startswith("Fn::"):
                raise TemplateError(f"{key} is not supported here")
        resolved = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not NO_VALUE}

    def _test(self, node: Mapping[str, Any]) -> bool:
        ((function, argument),) = node.items()
        match function:
            case "Condition":
                return self.holds(argument)
            case "Fn::Equals":
                left, right = (self.resolve(value) for value in argument)
                return bool(left == right)
            case "Fn::Not":
                return not self._test(argument[0])
            case "Fn::And":
                return all(self._test(part) for part in argument)
            case "Fn::Or":
                return any(self._test(part) for part in argument)
            case "Fn::EachMemberEquals":
                members, wanted = (self.resolve(value) for value in argument)
                return all(member == wanted for member in members)
        raise TemplateError(f"{function} is no condition function")

    def _get_att(self, argument: Any) -> Any:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return self._attribute(name, self.resolve(attribute))

    def _sub(self, argument: Any) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument
        local = {name: self.resolve(value) for name, value in given.items()}

        def value(found: re.Match[str]) -> str:
            literal, name = found[1], found[2].strip()
            if literal:
                return f"${{{name}}}"
            if name in local:
                return str(local[name])
            plain = self._get_att(name) if "." in name else self._ref(name)
            if not isinstance(plain, str):
                raise TemplateError(f"Fn::Sub of {name}, which is no text")
            return plain

        return _VARIABLE.sub(value, text)

    def _if(self, argument: Any) -> Any:
        condition, then, otherwise = argument
        return self.resolve(then if self.holds(condition) else otherwise)

    def _join(self, argument: Any) -> str:
        separator, items = argument
        return str(separator).join(str(item) for item in self.resolve(items))

    def _select(self, argument: Any) -> Any:
        index, items = argument
        return self.resolve(items)[int(self.resolve(index))]

    def _split(self, argument: Any) -> list[str]:
        separator, text = argument
        return str(self.resolve(text)).split(separator)

    def _find_in_map(self, argument: Any) -> Any:
        name, first, second = (self.resolve(part) for part in argument)
        try:
            return self._mappings[name][first][second]
        except KeyError as error:
            raise TemplateError(f"no {name}.{first}.{second} in the mappings") from error
