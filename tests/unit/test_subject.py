"""What rules are held against, as it is made of AWS's answers."""

import pytest

from bedrock_remediator.core.accounts import Enrolment
from bedrock_remediator.core.allowlist.rules import equivalents, subject
from bedrock_remediator.core.grant import Sighting
from bedrock_remediator.core.profile import Profile
from bedrock_remediator.flows.subjects import Subjects
from tests.builders import records as make
from tests.builders.aws import FakeProfiles, application_profile, profile
from tests.builders.grants import NOON

MEMBER = "444455556666"
US = profile()
GLOBAL = profile("global.amazon.nova-2-lite-v1:0", ["us-east-1", ""])


def copy(*regions: str) -> Profile:
    """An application profile with the model in these regions."""
    arn = f"arn:aws:bedrock:{make.REGION}:{make.ACCOUNT}:application-inference-profile/q1"
    return Profile.confirmed(arn, "q1", "APPLICATION", [make.model(region) for region in regions])


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        (("us-east-1", "us-east-2", "us-west-2"), ("us.amazon.nova-2-lite-v1:0",)),
        (("us-east-1", "us-west-2"), ("us.amazon.nova-2-lite-v1:0",)),
        (("us-east-1", ""), ("global.amazon.nova-2-lite-v1:0",)),
        (("",), ("global.amazon.nova-2-lite-v1:0",)),
        (("us-east-1",), ()),
        (("us-east-1", "ca-central-1"), ()),
    ],
)
def test_an_application_profile_stands_for_what_it_was_copied_from(
    regions: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    """Also where AWS has added a destination since, or lists the source region or does not (facts §3.6, §3.11)."""
    assert equivalents(copy(*regions), (US, GLOBAL)) == expected


def test_a_system_defined_profile_stands_for_nothing_else() -> None:
    """Its own id says what it is."""
    assert equivalents(US, (US, GLOBAL)) == ()


@pytest.mark.parametrize(
    ("enrolled", "owner", "caller", "expected"),
    [
        ((), make.ACCOUNT, make.ACCOUNT, True),
        ((), None, make.ACCOUNT, False),
        ((), MEMBER, make.ACCOUNT, False),
        ((), MEMBER, MEMBER, False),
        ((MEMBER,), MEMBER, make.ACCOUNT, True),
        (("*",), MEMBER, MEMBER, True),
        (("*",), MEMBER, make.ACCOUNT, False),
        (("*",), make.ACCOUNT, MEMBER, True),
    ],
)
def test_whose_endpoint_counts(enrolled: tuple[str, ...], owner: str | None, caller: str, expected: bool) -> None:  # noqa: FBT001
    """The service's own account's and those of enrolled ones; `*` names none, so there only the caller's own."""
    sighting = Sighting(event_id="e", time=NOON, vpc_endpoint="vpce-0a1b2c3d", vpc_endpoint_account=owner)
    made = subject(
        principal=make.ROLE,
        tags={},
        account=caller,
        region=make.REGION,
        origin=sighting,
        enrolment=Enrolment(make.ACCOUNT, enrolled),
        target=US,
    )
    assert made.own_endpoint is expected


@pytest.mark.parametrize(
    ("target", "asked"), [(US, []), (make.model(), []), (None, []), (application_profile(), ["profiles"])]
)
def test_bedrock_is_asked_for_an_application_profile_only(target: Profile | str | None, asked: list[str]) -> None:
    """Any other call costs nothing more."""
    profiles = FakeProfiles(US, GLOBAL)
    Subjects(profiles, Enrolment(make.ACCOUNT)).of(
        principal=make.ROLE,
        tags={},
        account=make.ACCOUNT,
        region=make.REGION,
        origin=Sighting(event_id="e", time=NOON),
        target=target,
    )
    assert profiles.asked == asked
