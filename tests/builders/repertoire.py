"""The stories that are told with every call of the watched function failing: each kind of work, by each strategy."""

from collections.abc import Iterator
from typing import Any, Final
from unittest.mock import patch

from msgspec.structs import replace

from sandbox.world import InferenceProfile
from tests.builders.overtaken import ended_by_another, given_up, tried_for_hours
from tests.builders.parts import by_api, clicked, denied, in_turn, later, pressed, revoked, stripped
from tests.builders.slack import GROUP
from tests.builders.small_world import (
    ACCOUNT,
    APP,
    BARE,
    DEV,
    MEANT,
    MEMBER,
    REGION,
    THEIRS,
    denial,
    models,
    organization,
    profile,
    profile_arn,
    wide_arn,
)
from tests.builders.stories import Part, Stage, Story

STRATEGIES: Final = ("managed", "inline", "in-place")
ASKING: Final = "version: 1\nrules: []\n"
ENDING: Final = """
version: 1
rules:
  - {name: a-day, effect: auto, principals: ["arn:aws:iam::*:role/**"], profiles: ["*", "arn:*"], expires_after: 1d}
"""
ROLE: Final = "arn:aws:iam::123456789012:role/approvers"

FIRST: Final = denial(APP, profile_arn(0))
SECOND: Final = denial(APP, profile_arn(1), 2)
MEMBERS: Final = denial(THEIRS, profile_arn(0, MEMBER))


# ------------------------------------------------------------------------------------------------------------- triage


def _batch(stage: Stage) -> None:
    """New denials that end in each way, a copy, a second action of the same profile, and what is no event at all."""
    stage.sandbox.queues[stage.sandbox.stack.arn("Denials")].send("not JSON")
    stage.deny(FIRST, FIRST, denial(BARE, wide_arn(0), 3), denial(MEANT, profile_arn(0), 4))


def _repeated(stage: Stage) -> None:
    stage.deny(denial(APP, profile_arn(0), 5), denial(APP, profile_arn(0), 6))


def _reopened(stage: Stage) -> None:
    stage.deny(denial(BARE, profile_arn(0), 7, at=stage.sandbox.clock.now()))


def _lapsed(stage: Stage) -> None:
    """A request that was rejected, and whose cool-down is over."""
    in_turn(denied(denial(BARE, profile_arn(0))), pressed("reject"))(stage)
    stage.later(days=2)


def _still_denied(stage: Stage) -> None:
    stage.deny(denial(APP, profile_arn(0), 8, at=stage.sandbox.clock.now()))


def _long_since_granted(stage: Stage) -> None:
    stage.deny(FIRST)
    stage.later(hours=2)


TRIAGE: Final = (
    Story(name="a batch", watched="TriageFunction", act=_batch),
    Story(name="repeats", watched="TriageFunction", before=denied(FIRST), act=_repeated),
    Story(name="a request opened anew", watched="TriageFunction", allowlist=ASKING, before=_lapsed, act=_reopened),
    Story(name="denied despite a grant", watched="TriageFunction", before=_long_since_granted, act=_still_denied),
)


# ---------------------------------------------------------------------------------------------------------- remediate


def _useless(stage: Stage) -> None:
    """When remediate begins to apply it, the organization forbids its model where the profile is called.

    Of that region remediate asks in any case: of the others only where it has not just asked, which a death changes.
    """
    statement = stage.sandbox.world.scps[0]["Statement"][0]

    def forbid(call: Any) -> None:
        if (call.caller, call.name) == ("RemediateFunction", "dynamodb:UpdateItem"):
            statement["Resource"] = models(1)[0]

    stage.sandbox.endpoint.refusals.append(forbid)
    stage.deny(SECOND)


def _remediating(strategy: str) -> Iterator[Story]:
    parameters = {"PolicyStrategy": strategy}

    def story(name: str, before: Part, act: Part) -> Story:
        return Story(
            name=f"{name}, {strategy}", watched="RemediateFunction", parameters=parameters, before=before, act=act
        )

    yield story("a first grant", lambda _: None, denied(FIRST))
    yield story("a second grant", denied(FIRST), denied(SECOND))
    yield story("a grant that does not help", denied(FIRST), _useless)
    yield story("one of two revoked", denied(FIRST, SECOND), revoked(1))
    yield story("the last one revoked", denied(FIRST), revoked(1))
    yield story("a grant that another ends", denied(FIRST), ended_by_another)
    yield story("a grant that is given up", in_turn(denied(FIRST), tried_for_hours), given_up)
    if strategy == "inline":
        yield story("a user's grant", lambda _: None, denied(denial(DEV, profile_arn(0))))
    if strategy == "managed":
        yield story("a grant that needs a second policy", denied(denial(BARE, wide_arn(0))), _wide)
        yield story("two policies become one", in_turn(denied(denial(BARE, wide_arn(0))), _wide), revoked(1))


def _wide(stage: Stage) -> None:
    stage.deny(denial(BARE, wide_arn(1), 2))


# --------------------------------------------------------------------------------------------------- approve, by a link


def _deciding(name: str, before: Part, act: Part, **settings: Any) -> Story:
    return Story(name=name, watched="ApproveFunction", allowlist=ASKING, before=before, act=act, **settings)


APPROVE: Final = (
    _deciding("approved on the page", denied(FIRST), pressed("approve")),
    _deciding("rejected on the page", denied(FIRST), pressed("reject")),
    _deciding("revoked on the page", in_turn(denied(FIRST), pressed("approve")), pressed("revoke")),
    _deciding("approved by whoever has signed in", denied(FIRST), pressed("approve"), signing_in=True),
    _deciding("approved by the API", denied(FIRST), by_api("approve")),
    _deciding("rejected by the API", denied(FIRST), by_api("reject")),
)


# ------------------------------------------------------------------------------------------------------------- notify

NOTIFY: Final = (
    Story(name="news of a batch", watched="NotifyFunction", act=_batch),
    Story(
        name="news of a request and its end",
        watched="NotifyFunction",
        allowlist=ASKING,
        act=in_turn(denied(FIRST), pressed("approve"), revoked(1)),
    ),
    Story(
        name="news by Amazon Q too", watched="NotifyFunction", parameters={"AmazonQTopic": "true"}, act=denied(FIRST)
    ),
)


# -------------------------------------------------------------------------------------------------------------- Slack


def _chatting(name: str, watched: str, before: Part, act: Part, **parameters: str) -> Story:
    return Story(
        name=f"Slack: {name}",
        watched=watched,
        allowlist=ASKING,
        before=before,
        act=act,
        slack=True,
        parameters=parameters,
    )


SLACK: Final = (
    _chatting(
        "a request and its decision", "SlackFunction", lambda _: None, in_turn(denied(FIRST), pressed("approve"))
    ),
    _chatting("a click is answered", "SlackFunction", denied(FIRST), clicked("reject")),
    _chatting("approved by a click", "ApproveFunction", denied(FIRST), clicked("approve")),
    _chatting("approved by one of a group", "ApproveFunction", denied(FIRST), clicked("approve"), SlackApprovers=GROUP),
    _chatting("rejected by a click", "ApproveFunction", denied(FIRST), clicked("reject")),
)


# ------------------------------------------------------------------------------------------------------------- upkeep


def _round(stage: Stage) -> None:
    stage.round("upkeep")


def _upkeep(name: str, before: Part, **settings: Any) -> Story:
    return Story(name=name, watched="UpkeepFunction", before=before, act=_round, after=_next_round, **settings)


def _next_round(stage: Stage) -> None:
    stage.later(hours=1)
    stage.round("upkeep")


def _stuck(stage: Stage) -> None:
    """A grant whose message was lost on its way to remediate."""
    queue = stage.sandbox.queues[stage.sandbox.stack.arn("Remediations")]
    with patch.object(queue, "send"):
        stage.deny(FIRST)
    stage.later(minutes=20)


def _rerouted(stage: Stage) -> None:
    """AWS routes the profile to one more region."""
    changed = InferenceProfile(
        id=profile(0), type="SYSTEM_DEFINED", models=tuple(models(0, REGION, "us-west-2", "us-east-2"))
    )
    profiles = stage.sandbox.world.inference_profiles
    profiles[REGION] = tuple(changed if each.id == changed.id else each for each in profiles[REGION])


UPKEEP: Final = (
    _upkeep("a grant ends", in_turn(denied(FIRST), later(days=2)), allowlist=ENDING),
    _upkeep("a request is reminded of", in_turn(denied(FIRST), later(hours=40)), allowlist=ASKING),
    _upkeep("a request lapses", in_turn(denied(FIRST), later(hours=80)), allowlist=ASKING),
    _upkeep("a grant is stuck", _stuck),
    _upkeep("a policy was edited", in_turn(denied(FIRST), later(hours=1), stripped(ACCOUNT))),
    _upkeep("a profile is routed elsewhere", in_turn(denied(FIRST), later(hours=1), _rerouted)),
    Story(
        name="the digest",
        watched="UpkeepFunction",
        parameters={"DigestSchedule": "cron(0 7 * * ? *)"},
        before=denied(FIRST, denial(MEANT, profile_arn(0), 4)),
        act=lambda stage: stage.round("digest"),
    ),
)


# ----------------------------------------------------------------------------------------------------- member accounts


def _in_member(name: str, watched: str, before: Part, act: Part, after: Part = lambda _: None) -> Story:
    """A story of another account's role, for which the functions assume a role of that account."""
    return Story(name=f"a member's {name}", watched=watched, before=before, act=act, after=after, world=organization)


MEMBER_ACCOUNT: Final = (
    _in_member("denial", "TriageFunction", lambda _: None, denied(MEMBERS)),
    _in_member("grant", "RemediateFunction", lambda _: None, denied(MEMBERS)),
    # Two hours later, when the credentials for the grant are over.
    _in_member("grant revoked", "RemediateFunction", in_turn(denied(MEMBERS), later(hours=2)), revoked(1)),
    _in_member(
        "policy edited",
        "UpkeepFunction",
        in_turn(denied(MEMBERS), later(hours=1), stripped(MEMBER)),
        _round,
        _next_round,
    ),
)


def _with_api(story: Story) -> Story:
    """The story in a stack whose API somebody may use."""
    return replace(story, parameters={"ApproverRoleArns": ROLE, **story.parameters})


REPERTOIRE: Final = {
    story.name: story
    for story in map(
        _with_api,
        (
            *TRIAGE,
            *(story for strategy in STRATEGIES for story in _remediating(strategy)),
            *APPROVE,
            *NOTIFY,
            *SLACK,
            *UPKEEP,
            *MEMBER_ACCOUNT,
        ),
    )
}
"""Every story by its name."""
