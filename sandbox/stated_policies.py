"""The policies that a stack's template states: what its roles may, and whom its resources let in."""

from collections.abc import Mapping
from typing import Any

from sandbox.evaluator import Source
from sandbox.managed_policies import aws_managed_document
from sandbox.naming import bus_arn
from sandbox.template import Stack

Policies = dict[str, tuple[Source, ...]]
"""ARN of a role or resource -> its policies."""


def identity_policies(stack: Stack) -> Policies:
    """What each role may, by its inline and managed policies."""
    return {stack.arn(name): _role_sources(name, role) for name, role in stack.of_type("AWS::IAM::Role").items()}


def resource_policies(stack: Stack) -> Policies:
    """Whom each role trusts, and whom each queue, topic, secret, key, table and event bus lets in."""
    policies: Policies = {
        stack.arn(name): (_stated(f"{name}/trust", role["AssumeRolePolicyDocument"]),)
        for name, role in stack.of_type("AWS::IAM::Role").items()
    }
    queues = {stack.ref(name): stack.arn(name) for name in stack.of_type("AWS::SQS::Queue")}
    for name, policy in stack.of_type("AWS::SQS::QueuePolicy").items():
        for url in policy["Queues"]:
            policies[queues[url]] = (_stated(name, policy["PolicyDocument"]),)
    for name, policy in stack.of_type("AWS::SNS::TopicPolicy").items():
        for arn in policy["Topics"]:
            policies[arn] = (_stated(name, policy["PolicyDocument"]),)
    for name, policy in stack.of_type("AWS::SecretsManager::ResourcePolicy").items():
        policies[policy["SecretId"]] = (_stated(name, policy["ResourcePolicy"]),)
    for name, key in stack.of_type("AWS::KMS::Key").items():
        # In a key's policy `*` means the key.
        policies[stack.arn(name)] = (_stated(name, key["KeyPolicy"]),)
    for name, table in stack.of_type("AWS::DynamoDB::Table").items():
        if "ResourcePolicy" in table:
            policies[stack.arn(name)] = (_stated(name, table["ResourcePolicy"]["PolicyDocument"]),)
    for name, policy in stack.of_type("AWS::Events::EventBusPolicy").items():
        # Each is one statement of the bus's policy.
        arn = bus_arn(stack.place, policy.get("EventBusName", "default"))
        statement = {"Version": "2012-10-17", "Statement": [policy["Statement"]]}
        policies[arn] = (*policies.get(arn, ()), _stated(name, statement))
    return policies


def _stated(name: str, document: Mapping[str, Any]) -> Source:
    return Source(id=name, type="resource", document=document)


def _role_sources(name: str, role: Mapping[str, Any]) -> tuple[Source, ...]:
    inline = [
        Source(id=f"{name}/{one['PolicyName']}", type="inline", document=one["PolicyDocument"])
        for one in role.get("Policies", [])
    ]
    attached = [
        Source(id=arn, type="managed", document=aws_managed_document(arn)) for arn in role.get("ManagedPolicyArns", [])
    ]
    return (*inline, *attached)
