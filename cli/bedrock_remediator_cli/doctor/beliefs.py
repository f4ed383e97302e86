"""What this project believes about AWS and could not confirm, tried in the user's own account (docs/aws-facts.md).

Every question only reads. One that may not be asked, or that the account gives no occasion for, is `not tried`: that
is no answer either way. An answer holds for this account, on this day.
"""

import enum
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from bedrock_remediator.aws.errors import RetryableError, error_code
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.arn import Arn
from bedrock_remediator.core.cloudtrail import INVOCATIONS
from bedrock_remediator_cli.audit.organization import Ceiling, read_ceiling
from bedrock_remediator_cli.audit.statements import statements, texts
from bedrock_remediator_cli.connection import Connection
from bedrock_remediator_cli.deployment import read_deployment
from bedrock_remediator_cli.doctor import arrival
from bedrock_remediator_cli.doctor.check import REFUSED, Status, Ward
from bedrock_remediator_cli.trouble import EnvironmentTrouble

_MODEL: Final = "amazon.nova-2-lite-v1:0"
_ACTION: Final = "bedrock:InvokeModel"
_NO_SUCH_ID: Final = "0" * 32
_PAGES: Final = 4
"""Pages of fifty events that are looked through for each operation: LookupEvents takes two questions a second."""
_AGE: Final = timedelta(days=90)
_ACCOUNT: Final = re.compile(r"(?<!\d)\d{12}(?!\d)")
_ID: Final = re.compile(r"authorization id: [0-9a-z]+")


class Held(enum.StrEnum):
    """Whether a belief held."""

    YES = "held"
    NO = "did not hold"
    NOT_TRIED = "not tried"


class Belief(Struct, frozen=True, kw_only=True):
    """One belief: where it is written down, what it says, whether it held, what was seen, and what that changes."""

    fact: str
    says: str
    held: Held
    seen: str
    changes: str | None = None


class Place:
    """Where beliefs are tried: the way to AWS, the stack's name (there may be none), and the time."""

    def __init__(self, aws: Connection, stack_name: str, clock: Clock) -> None:
        self.aws = aws
        self.stack_name = stack_name
        self.clock = clock

    @cached_property
    def denied(self) -> Sequence[Mapping[str, Any]]:
        """The records of denied invocations among the newest that CloudTrail has, looked up once."""
        client, now = self.aws.client("cloudtrail"), self.clock.now()
        return [each for name in INVOCATIONS for each in _looked_up(client, name, now, self.clock)]


class _Answer(Struct, frozen=True):
    held: Held
    seen: str


class _Question(Struct, frozen=True, kw_only=True):
    """A belief that can be tried. `changes` is what it means where the answer is no."""

    fact: str
    says: str
    ask: Callable[[Place], _Answer]
    changes: str


def tried(place: Place) -> Iterator[Belief]:
    """Every belief, one after the other."""
    for question in QUESTIONS:
        answer = _asked(question, place)
        changes = question.changes if answer.held is Held.NO else None
        yield Belief(
            fact=question.fact,
            says=question.says,
            held=answer.held,
            seen=without_accounts(answer.seen),
            changes=changes,
        )


def without_accounts(text: str) -> str:
    """Text with no account's id in it, for a report that others read."""
    return _ACCOUNT.sub("<account>", text)


def _asked(question: _Question, place: Place) -> _Answer:
    try:
        return question.ask(place)
    except ClientError as error:
        if error_code(error) in REFUSED:
            return _not_tried(f"You may not call {error.operation_name}.")
        return _not_tried(f"{error.operation_name} failed: {error_code(error)}.")
    except (BotoCoreError, RetryableError, EnvironmentTrouble) as error:
        return _not_tried(str(error))


def _not_tried(why: str) -> _Answer:
    return _Answer(Held.NOT_TRIED, why)


def _answer(holds: bool, seen: str) -> _Answer:  # noqa: FBT001 - the one thing that it says
    return _Answer(Held.YES if holds else Held.NO, seen)


def _simulated(place: Place, condition: Mapping[str, Any] | None = None, **arguments: Any) -> Mapping[str, Any]:
    """The simulator's answer about a policy that allows the model everywhere, on the condition given."""
    allow = {"Effect": "Allow", "Action": _ACTION, "Resource": "*"}
    statement = {**allow, "Condition": condition} if condition else allow
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    question = {
        "PolicyInputList": [document],
        "ActionNames": [_ACTION],
        "ResourceArns": [f"arn:{place.aws.partition}:bedrock:us-east-1::foundation-model/{_MODEL}"],
        **arguments,
    }
    (result,) = place.aws.client("iam").simulate_custom_policy(**question)["EvaluationResults"]
    (one,) = result.get("ResourceSpecificResults") or [result]
    return {
        "decision": one.get("EvalResourceDecision") or one["EvalDecision"],
        "missing": {key.lower() for found in (one, result) for key in found.get("MissingContextValues", ())},
    }


def _model_without_region(place: Place) -> _Answer:
    arn = f"arn:{place.aws.partition}:bedrock:::foundation-model/{_MODEL}"
    try:
        found = _simulated(place, ResourceArns=[arn])
    except ClientError as error:
        if error_code(error) != "InvalidInput":
            raise
        return _answer(holds=False, seen=f"It was refused: {error.response['Error'].get('Message', 'InvalidInput')}")
    return _answer(holds=found["decision"] == "allowed", seen=f"The simulator said {found['decision']}.")


def _keys_are_not_filled_in(place: Place) -> _Answer:
    found = _simulated(place, {"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}})
    holds = found["decision"] != "allowed" and "aws:currenttime" in found["missing"]
    missing = ", ".join(sorted(found["missing"])) or "nothing"
    return _answer(
        holds=holds, seen=f"Without the time given: {found['decision']}, and {missing} was said to be missing."
    )


def _a_date_is_taken(place: Place) -> _Answer:
    moment = place.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = {"ContextKeyName": "aws:CurrentTime", "ContextKeyValues": [moment], "ContextKeyType": "date"}
    end = {"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}}
    found = _simulated(place, end, ContextEntries=[entry])
    return _answer(holds=found["decision"] == "allowed", seen=f"With the time given as a date: {found['decision']}.")


def _boundary_keys_are_not_reported(place: Place) -> _Answer:
    boundary = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-0example"}},
            }
        ],
    }
    found = _simulated(place, PermissionsBoundaryPolicyInputList=[json.dumps(boundary)])
    reported = "aws:sourcevpc" in found["missing"]
    return _answer(holds=not reported, seen=f"A boundary's key was {'reported' if reported else 'not reported'}.")


def _conditions_of_scps_are_evaluated(place: Place) -> _Answer:
    """Only where a policy of the organization denies, for want of a key, a call that is then simulated."""
    ceiling = read_ceiling(place.aws.client("organizations"), place.aws.account)
    if ceiling is None:
        return _not_tried("There is no organization, or its policies may not be read.")
    found = _denied_for_want_of_a_key(ceiling)
    if found is None:
        return _not_tried("No service control policy of the account denies something because a key is absent.")
    name, action = found
    answer = place.aws.client("iam").simulate_principal_policy(
        PolicySourceArn=_source(place.aws), ActionNames=[action], ResourceArns=["*"]
    )
    (result,) = answer["EvaluationResults"]
    allowed = result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations")
    return _answer(
        holds=allowed is False, seen=f"{action}, which {name} denies for want of a key: allowed = {allowed}."
    )


def _denied_for_want_of_a_key(ceiling: Ceiling) -> tuple[str, str] | None:
    """A policy and an action that it denies on everything under a negated condition alone."""
    for policy in ceiling.documents:
        for statement in statements(policy):
            if not isinstance(statement, Mapping) or statement.get("Effect") != "Deny":
                continue
            condition, whole = statement.get("Condition"), texts(statement, "Resource") == ("*",)
            plain = [
                action
                for action in texts(statement, "Action")
                if ":" in action and "*" not in action and "?" not in action
            ]
            if whole and plain and isinstance(condition, Mapping) and len(condition) == 1:
                ((operator, keys),) = condition.items()
                if operator.startswith(("StringNot", "ArnNot")) and all(_never_given(key) for key in keys):
                    return policy.name, plain[0]
    return None


def _never_given(key: str) -> bool:
    return key.lower() in {"aws:sourcevpc", "aws:sourcevpce", "aws:sourceip", "aws:vpcsourceip"}


def _source(aws: Connection) -> str:
    """The IAM ARN of the caller; of a role's session, of the role, as IAM knows it with its path."""
    kind, _, rest = aws.identity["Arn"].split(":", 5)[5].partition("/")
    if kind != "assumed-role":
        return aws.identity["Arn"]
    arn: str = aws.client("iam").get_role(RoleName=rest.split("/")[0])["Role"]["Arn"]
    return arn


def _profiles_list_what_a_call_needs(place: Place) -> _Answer:
    region = place.aws.region
    pages = place.aws.client("bedrock").get_paginator("list_inference_profiles").paginate(typeEquals="SYSTEM_DEFINED")
    profiles = {
        each["inferenceProfileId"]: [model["modelArn"] for model in each["models"] if "modelArn" in model]
        for page in pages
        for each in page["inferenceProfileSummaries"]
    }
    if not profiles:
        return _not_tried(f"{region} has no system-defined inference profile.")
    lacking = [name for name, models in profiles.items() if not _is_whole(name, models, region)]
    whole = len(profiles) - len(lacking)
    return _answer(
        holds=not lacking,
        seen=f"{whole} of {len(profiles)} profiles list it." + (f" Not so: {', '.join(lacking)}." if lacking else ""),
    )


def _is_whole(profile_id: str, models: Sequence[str], region: str) -> bool:
    """Whether the list has the source region's model, and a global profile's the model without a region."""
    regions = {Arn.parse(arn).region for arn in models}
    return region in regions and ("" in regions or not profile_id.startswith("global."))


def _inference_types(place: Place) -> _Answer:
    models = place.aws.client("bedrock").list_foundation_models()["modelSummaries"]
    types = Counter(kind for each in models for kind in each.get("inferenceTypesSupported", ()))
    said = ", ".join(f"{name} {count}" for name, count in sorted(types.items()))
    return _answer(holds="INFERENCE_PROFILE" in types, seen=f"Of {len(models)} models: {said or 'no type'}.")


def _availability(place: Place) -> _Answer:
    answer = place.aws.client("bedrock").get_foundation_model_availability(modelId=_MODEL)
    parts = {
        "agreement": answer.get("agreementAvailability", {}).get("status"),
        "authorization": answer.get("authorizationStatus"),
        "entitlement": answer.get("entitlementAvailability"),
        "region": answer.get("regionAvailability"),
    }
    said = ", ".join(f"{name} {value}" for name, value in parts.items())
    return _answer(holds=None not in parts.values(), seen=f"{_MODEL}: {said}.")


def _troubleshooter(place: Place) -> _Answer:
    try:
        place.aws.client("iam-toolbox").get_request_authorization_details(authorizationId=_NO_SUCH_ID)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
    return _answer(holds=True, seen=f"It answers in {place.aws.region}, and you may ask it.")


def _rule_sees_reading_events(place: Place) -> _Answer:
    aws = place.aws
    ward = Ward(aws=aws, stack=read_deployment(aws, place.stack_name), clock=place.clock, slack_api="")
    found = arrival.rule(ward)
    return _answer(holds=found.status is Status.OK, seen=found.found)


def _looked_up(client: Any, name: str, now: datetime, clock: Clock) -> Iterator[Mapping[str, Any]]:
    token: dict[str, str] = {}
    for page in itertools.count(1):
        answer = client.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
            StartTime=now - _AGE,
            EndTime=now,
            **token,
        )
        for each in answer["Events"]:
            record = json.loads(each["CloudTrailEvent"])
            if str(record.get("errorCode", "")).startswith("AccessDenied"):
                yield record
        if not answer.get("NextToken") or page == _PAGES:
            return
        token = {"NextToken": answer["NextToken"]}
        clock.sleep(0.5)


def _share_of_denied(fits: Callable[[Mapping[str, Any]], bool], what: str) -> Callable[[Place], _Answer]:
    """Whether every denied record is so."""

    def ask(place: Place) -> _Answer:
        if not place.denied:
            return _not_tried("CloudTrail has no denied invocation among its newest events.")
        count = sum(map(fits, place.denied))
        return _answer(holds=count == len(place.denied), seen=f"{count} of {len(place.denied)} denied records {what}.")

    return ask


QUESTIONS: Final = (
    _Question(
        fact="§1.3",
        says="The rule sees reading management events.",
        ask=_rule_sees_reading_events,
        changes="No denial reaches the service: deploy the stack again.",
    ),
    _Question(
        fact="§1.3",
        says="Records of denied invocations say readOnly: true.",
        ask=_share_of_denied(lambda each: each.get("readOnly") is True, "say readOnly: true"),
        changes="Nothing: the rule takes both.",
    ),
    _Question(
        fact="§1.6",
        says="Denied records carry requestParameters.",
        ask=_share_of_denied(lambda each: bool(each.get("requestParameters")), "carry requestParameters"),
        changes="Where one has none, the message alone tells what was called, and a person is asked more often.",
    ),
    _Question(
        fact="§3.6",
        says="A profile lists the source region's model, and a global one the model without a region.",
        ask=_profiles_list_what_a_call_needs,
        changes="Nothing: the service adds what the list lacks.",
    ),
    _Question(
        fact="§3.6",
        says="inferenceTypesSupported says INFERENCE_PROFILE of some model.",
        ask=_inference_types,
        changes="Nothing: the service asks only for ON_DEMAND.",
    ),
    _Question(
        fact="§3.10",
        says="GetFoundationModelAvailability tells of agreement, authorization, entitlement and region.",
        ask=_availability,
        changes="Advice about model access cannot say what is missing.",
    ),
    _Question(
        fact="§4.5",
        says="The policy simulator takes a model's ARN without a region.",
        ask=_model_without_region,
        changes="Grants of global profiles are written and stay inconclusive.",
    ),
    _Question(
        fact="§4.5",
        says="The simulator fills in no condition key, the time included.",
        ask=_keys_are_not_filled_in,
        changes="Nothing: the service gives the keys all the same.",
    ),
    _Question(
        fact="§4.5",
        says="It takes aws:CurrentTime as a date.",
        ask=_a_date_is_taken,
        changes="Grants with an end are written and stay inconclusive.",
    ),
    _Question(
        fact="§4.5",
        says="It does not report the condition keys of a permissions boundary.",
        ask=_boundary_keys_are_not_reported,
        changes="Nothing: the service reads the boundary itself.",
    ),
    _Question(
        fact="§4.5",
        says="It evaluates the conditions of service control policies.",
        ask=_conditions_of_scps_are_evaluated,
        changes="A grant that such a policy defeats is found out later, by the next denial.",
    ),
    _Question(
        fact="§4.12",
        says="IAM's Access Troubleshooter can be asked in this region.",
        ask=_troubleshooter,
        changes="Refusals are explained from their messages alone.",
    ),
    _Question(
        fact="§4.12",
        says="Refusals by Bedrock carry an authorization id.",
        ask=_share_of_denied(lambda each: bool(_ID.search(str(each.get("errorMessage", "")))), "carry an id"),
        changes="The Access Troubleshooter cannot be asked about them.",
    ),
)
"""Beliefs of docs/aws-facts.md that can be tried without harm."""
