"""Of a policy, the statements that have to do with invoking models. Most policies of an account have none."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from bedrock_remediator.core.iam.evaluation import Policy
from bedrock_remediator.core.iam.patterns import matches
from bedrock_remediator.core.policy_grammar import INVOKE_ACTIONS

NO_ACTIONS: Final[Mapping[str, str | None]] = {
    "bedrock:converse": "bedrock:InvokeModel",
    "bedrock:conversestream": "bedrock:InvokeModelWithResponseStream",
    "bedrock:invokemodelwithbidirectionalstream": "bedrock:InvokeModelWithResponseStream",
    "bedrock:startasyncinvoke": "bedrock:InvokeModel",
    "bedrock:useinferenceprofile": None,
}
"""What policies allow and IAM does not know, in lower case -> what authorises it instead (docs/aws-facts.md §3.7)."""


def about_bedrock(policy: Policy) -> Policy | None:
    """The policy with only the statements that are about Bedrock's actions; None if there are none."""
    kept = [statement for statement in statements(policy) if _about_bedrock(statement)]
    if not kept:
        return None
    return replace(policy, document={"Version": policy.document.get("Version"), "Statement": kept})


def statements(policy: Policy) -> list[Any]:
    """The statements of a policy, which may have one that is no list."""
    found = policy.document.get("Statement")
    return found if isinstance(found, list) else [found]


def allows(policy: Policy) -> Iterator[Mapping[str, Any]]:
    """The policy's statements that allow something."""
    for statement in statements(policy):
        if isinstance(statement, Mapping) and statement.get("Effect") == "Allow":
            yield statement


def covers(statement: Mapping[str, Any], action: str) -> bool:
    """Whether a statement's actions take an action in."""
    negated = "NotAction" in statement
    patterns = texts(statement, "NotAction" if negated else "Action")
    return negated != any(matches(pattern.lower(), action.lower()) for pattern in patterns)


def invoked(policies: tuple[Policy, ...]) -> tuple[str, ...]:
    """The invocation actions that some statement allows; one of them, where every statement treats both alike."""
    found = [
        tuple(covers(statement, action) for action in INVOKE_ACTIONS) for each in policies for statement in allows(each)
    ]
    actions = tuple(action for place, action in enumerate(INVOKE_ACTIONS) if any(each[place] for each in found))
    every = [statement for each in policies for statement in statements(each) if isinstance(statement, Mapping)]
    alike = all(len({covers(statement, action) for action in INVOKE_ACTIONS}) == 1 for statement in every)
    return actions[:1] if alike else actions


def texts(statement: Mapping[str, Any], element: str) -> tuple[str, ...]:
    """The texts of an element that may be one text or a list."""
    found = statement.get(element, ())
    return tuple(each for each in ([found] if isinstance(found, str) else found) if isinstance(each, str))


def _about_bedrock(statement: Any) -> bool:
    """Whether it may say something of Bedrock; what cannot be read may."""
    if not isinstance(statement, Mapping) or "NotAction" in statement:
        return True
    services = (action.partition(":")[0].lower() for action in texts(statement, "Action"))
    return any(service == "bedrock" or "*" in service or "?" in service for service in services)
