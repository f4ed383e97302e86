"""What CloudFormation's `Ref` and `Fn::GetAtt` give for the resource types that the template uses."""

import functools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.intrinsics import TemplateError

STREAM_LABEL: Final = "2026-01-01T00:00:00.000"
"""The label in the ledger's stream ARN; AWS would put the time of creation there."""


@dataclass(frozen=True)
class Form:
    """How resources of one type are named: the property that holds the name, `Ref`, and the attributes.

    Each is a format string over partition, region, account, suffix, name, path, bus, uuid, id and short.
    """

    name_property: str
    ref: str
    attributes: Mapping[str, str]


def _plain(service: str, kind: str, name_property: str) -> Form:
    return Form(name_property, "{name}", {"Arn": f"arn:{{partition}}:{service}:{{region}}:{{account}}:{kind}{{name}}"})


_NAME_ONLY: Final = Form("Name", "{name}", {})

_FORMS: Final[Mapping[str, Form]] = {
    "AWS::SQS::Queue": Form(
        "QueueName",
        "https://sqs.{region}.{suffix}/{account}/{name}",
        {
            "Arn": "arn:{partition}:sqs:{region}:{account}:{name}",
            "QueueName": "{name}",
            "QueueUrl": "https://sqs.{region}.{suffix}/{account}/{name}",
        },
    ),
    "AWS::SNS::Topic": Form(
        "TopicName",
        "arn:{partition}:sns:{region}:{account}:{name}",
        {
            "Arn": "arn:{partition}:sns:{region}:{account}:{name}",
            "TopicArn": "arn:{partition}:sns:{region}:{account}:{name}",
            "TopicName": "{name}",
        },
    ),
    "AWS::DynamoDB::Table": Form(
        "TableName",
        "{name}",
        {
            "Arn": "arn:{partition}:dynamodb:{region}:{account}:table/{name}",
            "StreamArn": f"arn:{{partition}}:dynamodb:{{region}}:{{account}}:table/{{name}}/stream/{STREAM_LABEL}",
        },
    ),
    "AWS::IAM::Role": Form(
        "RoleName",
        "{name}",
        {"Arn": "arn:{partition}:iam::{account}:role{path}{name}", "RoleId": "AROA{id}"},
    ),
    "AWS::KMS::Key": Form(
        "", "{uuid}", {"Arn": "arn:{partition}:kms:{region}:{account}:key/{uuid}", "KeyId": "{uuid}"}
    ),
    "AWS::Logs::LogGroup": Form(
        "LogGroupName", "{name}", {"Arn": "arn:{partition}:logs:{region}:{account}:log-group:{name}:*"}
    ),
    "AWS::Lambda::LayerVersion": Form(
        "LayerName",
        "arn:{partition}:lambda:{region}:{account}:layer:{name}:1",
        {"Arn": "arn:{partition}:lambda:{region}:{account}:layer:{name}:1"},
    ),
    "AWS::Lambda::EventSourceMapping": Form(
        "",
        "{uuid}",
        {"Id": "{uuid}", "Arn": "arn:{partition}:lambda:{region}:{account}:event-source-mapping:{uuid}"},
    ),
    "AWS::ApiGatewayV2::Api": Form(
        "",
        "{short}",
        {"ApiId": "{short}", "ApiEndpoint": "https://{short}.execute-api.{region}.{suffix}"},
    ),
    "AWS::ApiGatewayV2::Integration": Form("", "{short}", {"IntegrationId": "{short}"}),
    "AWS::ApiGatewayV2::Route": Form("", "{short}", {"RouteId": "{short}"}),
    "AWS::SecretsManager::Secret": Form(
        "Name",
        "arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-{short:.6}",
        {"Id": "arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-{short:.6}"},
    ),
    "AWS::Scheduler::Schedule": Form(
        "Name", "{name}", {"Arn": "arn:{partition}:scheduler:{region}:{account}:schedule/default/{name}"}
    ),
    "AWS::Lambda::Function": _plain("lambda", "function:", "FunctionName"),
    "AWS::Events::EventBus": _plain("events", "event-bus/", "Name"),
    "AWS::Events::Rule": _plain("events", "rule/{bus}", "Name"),
    "AWS::Pipes::Pipe": _plain("pipes", "pipe/", "Name"),
    "AWS::CloudWatch::Alarm": _plain("cloudwatch", "alarm:", "AlarmName"),
    "AWS::CloudWatch::Dashboard": Form("DashboardName", "{name}", {}),
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a stack stands: partition, region, account, and the stack's name."""

    partition: str
    region: str
    account: str
    stack_name: str

    @property
    def suffix(self) -> str:
        """The domain that the partition's endpoints end in."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    @functools.cached_property
    def pseudo_parameters(self) -> Mapping[str, str]:
        """`AWS::Region` and its like."""
        return {
            "AWS::AccountId": self.account,
            "AWS::Partition": self.partition,
            "AWS::Region": self.region,
            "AWS::StackId": f"arn:{self.partition}:cloudformation:{self.region}:{self.account}:stack/"
            f"{self.stack_name}/{self.unique('stack')}",
            "AWS::StackName": self.stack_name,
            "AWS::URLSuffix": self.suffix,
        }

    def unique(self, logical_id: str) -> str:
        """A UUID that is the same each time for one resource of one stack."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.account}/{self.region}/{self.stack_name}/{logical_id}"))


def naming_properties(resource_type: str) -> tuple[str, ...]:
    """The properties that a resource's name and ARN depend on."""
    return (_FORMS.get(resource_type, _NAME_ONLY).name_property, "Path", "FifoQueue", "EventBusName")


def ref_of(place: Place, logical_id: str, resource: Mapping[str, Any]) -> str:
    """What `Ref` gives for a resource, whose `Properties` are worked out as far as they name it."""
    return _form(resource).ref.format_map(_values(place, logical_id, resource))


def attribute_of(place: Place, logical_id: str, resource: Mapping[str, Any], attribute: str) -> str:
    """What `Fn::GetAtt` gives for a resource and an attribute.

    Raises:
        TemplateError: Resources of that type have no such attribute, as far as this module knows.
    """
    known = _form(resource).attributes
    if attribute not in known:
        raise TemplateError(f"{logical_id}, a {resource['Type']}, has no attribute {attribute}")
    return known[attribute].format_map(_values(place, logical_id, resource))


def bus_arn(place: Place, name: str) -> str:
    """The ARN of an event bus of a place; `name` is its name, or the ARN already."""
    whole = f"arn:{place.partition}:events:{place.region}:{place.account}:event-bus/{name}"
    return name if name.startswith("arn:") else whole


def _form(resource: Mapping[str, Any]) -> Form:
    return _FORMS.get(resource["Type"], _NAME_ONLY)


def _values(place: Place, logical_id: str, resource: Mapping[str, Any]) -> Mapping[str, str]:
    properties = resource.get("Properties", {})
    fifo = ".fifo" if properties.get("FifoQueue") in (True, "true") else ""
    unique = place.unique(logical_id)
    bus = properties.get("EventBusName", "default").rpartition("/")[2]
    return {
        "partition": place.partition,
        "region": place.region,
        "account": place.account,
        "suffix": place.suffix,
        "name": properties.get(_form(resource).name_property, f"{place.stack_name}-{logical_id}{fifo}"),
        "path": properties.get("Path", "/"),
        "bus": "" if bus == "default" else f"{bus}/",
        "uuid": unique,
        "id": unique.replace("-", "").upper()[:17],
        "short": unique.replace("-", "")[:10],
    }
