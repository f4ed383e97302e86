"""The stack that template.yaml describes, as plain values: what a deployment would make of it.

The template is transformed by SAM's own translator, then parameters, conditions and intrinsic functions are worked
out for one account and region. Names that CloudFormation would invent are `STACK-LogicalId` here, so that two loads
agree. `load()` is the way in.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3
import yaml
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]  # it has no types
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]  # it has no types
from samtranslator.yaml_helper import intrinsics_multi_constructor  # type: ignore[import-untyped]  # it has no types

from sandbox.intrinsics import NO_VALUE, Intrinsics, TemplateError, parameter_values
from sandbox.naming import Place, attribute_of, naming_properties, ref_of

STACK_NAME: Final = "bedrock-access-remediator"
SOURCE_BUCKET: Final = "source"
"""A function's or layer's code reads `{"S3Bucket": "source", "S3Key": <folder, relative to the template>}`."""

_CODE: Final = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}


class _TemplateReader(yaml.SafeLoader):
    """YAML with CloudFormation's tags. A class of its own: SAM's reader would teach them to every SafeLoader."""


_TemplateReader.add_multi_constructor("!", intrinsics_multi_constructor)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The stack's resources, worked out.

    Attributes:
        resources: Logical id -> the resource: `Type`, `Properties` and what else the template says of it. Those whose
            condition does not hold are left out.
        outputs: Output's name -> its value.
        parameters: Parameter's name -> its value; lists are lists.
        place: Where the stack stands.
    """

    resources: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, str]
    parameters: Mapping[str, str | list[str]]
    place: Place = field(repr=False)

    def properties(self, logical_id: str) -> Mapping[str, Any]:
        """A resource's properties.

        Raises:
            KeyError: The stack has no such resource.
        """
        properties: Mapping[str, Any] = self.resources[logical_id].get("Properties", {})
        return properties

    def of_type(self, resource_type: str) -> dict[str, Mapping[str, Any]]:
        """Logical id -> properties of every resource of a type."""
        return {name: self.properties(name) for name, each in self.resources.items() if each["Type"] == resource_type}

    def ref(self, logical_id: str) -> str:
        """What `!Ref` gives: a queue's URL, a topic's ARN, most others' name.

        Raises:
            KeyError: The stack has no such resource.
        """
        return ref_of(self.place, logical_id, self.resources[logical_id])

    def attribute(self, logical_id: str, name: str) -> str:
        """What `!GetAtt logical_id.name` gives.

        Raises:
            KeyError: The stack has no such resource.
            TemplateError: The resource has no such attribute.
        """
        return attribute_of(self.place, logical_id, self.resources[logical_id], name)

    def arn(self, logical_id: str) -> str:
        """A resource's ARN.

        Raises:
            KeyError: The stack has no such resource.
            TemplateError: Resources of its type have no ARN.
        """
        return self.attribute(logical_id, "Arn")


def load(  # noqa: PLR0913 - a deployment has these coordinates, and callers name them
    template_path: str | Path,
    *,
    parameters: Mapping[str, str],
    account: str,
    region: str,
    partition: str = "aws",
    stack_name: str = STACK_NAME,
) -> Stack:
    """The stack as it would be deployed.

    Args:
        template_path: The SAM template.
        parameters: Parameter's name -> text, as `sam deploy --parameter-overrides` takes them; the rest are defaults.
        account: Account id, 12 digits.
        region: Region's name.
        partition: `aws`, `aws-cn`, `aws-us-gov`, …
        stack_name: What the stack is called; the names of its resources begin with it.

    Raises:
        TemplateError: A parameter or a reference does not fit.
        samtranslator.sdk.resource.InvalidDocumentException: SAM refuses the template.
    """
    text = Path(template_path).read_text(encoding="utf-8")
    document = transformed(text, region)
    place = Place(partition=partition, region=region, account=account, stack_name=stack_name)
    return _Resolution(document, place, parameter_values(document.get("Parameters", {}), parameters)).stack()


@functools.lru_cache(maxsize=16)
def transformed(text: str, region: str) -> Mapping[str, Any]:
    """The template's text as plain CloudFormation. The value is shared: read it, never change it."""
    document: Mapping[str, Any] = yaml.load(text, Loader=_TemplateReader)  # noqa: S506 - a SafeLoader, by its base
    if "Transform" not in document:
        return document
    for resource in document["Resources"].values():
        code = _CODE.get(resource["Type"])
        if code:
            folder = resource["Properties"][code].strip("/")
            resource["Properties"][code] = f"s3://{SOURCE_BUCKET}/{folder}"
    # The translator asks a session for its region only, and IAM for AWS managed policies only where one is named.
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region))
    result: Mapping[str, Any] = translator.translate(document, parameter_values={}, passthrough_metadata=True)
    return result


class _Resolution:
    """One load: everything a name can stand for, and the functions over it."""

    def __init__(self, document: Mapping[str, Any], place: Place, parameters: Mapping[str, str | list[str]]) -> None:
        self._document = document
        self._place = place
        self._parameters = parameters
        self._intrinsics = Intrinsics(
            conditions=document.get("Conditions", {}),
            mappings=document.get("Mappings", {}),
            ref=self._ref,
            attribute=self._attribute,
        )

    def stack(self) -> Stack:
        self._intrinsics.check(self._document.get("Rules", {}))
        return Stack(
            resources={
                name: {**resource, "Properties": self._intrinsics.resolve(resource.get("Properties", {}))}
                for name, resource in self._document["Resources"].items()
                if self._is_made(resource)
            },
            outputs={
                name: self._intrinsics.resolve(output["Value"])
                for name, output in self._document.get("Outputs", {}).items()
                if self._is_made(output)
            },
            parameters=self._parameters,
            place=self._place,
        )

    def _is_made(self, part: Mapping[str, Any]) -> bool:
        return "Condition" not in part or self._intrinsics.holds(part["Condition"])

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._place.pseudo_parameters:
            return self._place.pseudo_parameters[name]
        if name in self._parameters:
            return self._parameters[name]
        return ref_of(self._place, name, self._named(name))

    def _attribute(self, name: str, attribute: str) -> str:
        return attribute_of(self._place, name, self._named(name), attribute)

    def _named(self, name: str) -> Mapping[str, Any]:
        """The resource with as much of it worked out as its name and ARN need."""
        resource = self._document["Resources"].get(name)
        if resource is None or not self._is_made(resource):
            raise TemplateError(f"{name} is no parameter and no resource of this stack")
        properties = resource.get("Properties", {})
        naming = {key: properties[key] for key in naming_properties(resource["Type"]) if key in properties}
        return {**resource, "Properties": self._intrinsics.resolve(naming)}
