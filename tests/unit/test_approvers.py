"""Who decides, under which name, and whose request is their own."""

import msgspec
import pytest

from bedrock_remediator.core.approvers import Approver, may_approve, own_request
from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.grant import Via
from tests.builders.decisions import ALICE, BOB, waiting
from tests.builders.grants import ACCOUNT, ROLE


class TestOwnRequests:
    """Nobody approves access for themselves, as far as that can be told."""

    @pytest.mark.parametrize(
        ("approver", "own"),
        [
            (Approver.by_api(ROLE), True),
            (Approver.by_api(f"arn:aws:sts::{ACCOUNT}:assumed-role/llm-app/session"), True),
            (Approver.by_api(f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/session"), False),
            (Approver.by_api("arn:aws:sts::111122223333:assumed-role/llm-app/session"), False),
            (Approver.by_api(f"arn:aws:iam::{ACCOUNT}:user/llm-app"), False),
            (Approver.by_api(f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/Alice@example.com"), True),
            (Approver.by_oidc("ALICE@example.com"), True),
            (Approver.by_oidc("bob@example.com"), False),
            (Approver.by_link("alice@example.com"), False),
            (Approver.by_slack("U0123"), False),
        ],
    )
    def test_are_told_by_role_user_and_session(self, approver: Approver, own: bool) -> None:  # noqa: FBT001 - a parameter
        """The same role in a session or not, whatever its path; and the person that the denied session is named for."""
        row = waiting()
        row = msgspec.structs.replace(row, sighting=msgspec.structs.replace(row.sighting, session="alice@example.com"))
        assert own_request(approver, row) is own

    def test_of_nobody_known_are_nobodys(self) -> None:
        """Without a principal and a session there is nothing to compare with."""
        assert not own_request(Approver.by_api(ROLE), waiting(principal=None))


class TestApprovers:
    """Who somebody is said to be."""

    def test_of_a_link_are_marked(self) -> None:
        """Nobody can type a name that looks like one that was verified."""
        assert Approver.by_link("bob@example.com").name == "bob@example.com (unverified)"

    def test_have_a_name_in_one_clean_line(self) -> None:
        """Control characters, line breaks and half characters are gone, and the name has an end."""
        assert Approver.by_link("  A\x00l\r\nice\ud800 \x85 B ").name == "A l ice B (unverified)"
        assert len(Approver.by_oidc("x" * 10_000).name) == 100

    @pytest.mark.parametrize("name", ["", "  ", "\n\x00"])
    def test_without_a_name_are_nobody(self, name: str) -> None:
        """A decision has an author."""
        for made in (Approver.by_link, Approver.by_oidc, Approver.by_slack):
            with pytest.raises(ValueError, match="name"):
                made(name)

    def test_of_the_api_are_in_iam(self) -> None:
        """The whole ARN is kept: its session tells the person."""
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/bob"
        assert Approver.by_api(session) == Approver(name=session, via=Via.API, arn=session)
        with pytest.raises(ArnError):
            Approver.by_api(f"arn:aws:iam::{ACCOUNT}:root")

    def test_of_slack_go_by_their_id(self) -> None:
        """Names in Slack can be chosen."""
        assert Approver.by_slack("U0123").name == "slack:U0123"

    @pytest.mark.parametrize(
        ("caller", "may"),
        [
            (f"arn:aws:sts::{ACCOUNT}:assumed-role/approver/alice", True),
            (f"arn:aws:iam::{ACCOUNT}:role/people/approver", True),
            (f"arn:aws:sts::{ACCOUNT}:assumed-role/approver2/alice", False),
            ("arn:aws:sts::111122223333:assumed-role/approver/alice", False),
            (f"arn:aws:iam::{ACCOUNT}:user/approver", False),
            (f"arn:aws:sts::{ACCOUNT}:federated-user/approver", False),
            ("", False),
        ],
    )
    def test_of_the_api_have_one_of_the_roles(self, caller: str, may: bool) -> None:  # noqa: FBT001 - a parameter
        """A session of a role counts as the role; an account has no two roles of one name."""
        assert may_approve(caller, [f"arn:aws:iam::{ACCOUNT}:role/people/approver", "not an arn"]) is may
        assert not may_approve(caller, [])


def test_unverified_names_stay_apart_from_verified_ones() -> None:
    """Alice of the link compares with nobody."""
    assert ALICE.person is None
    assert BOB.person == "bob@example.com"
