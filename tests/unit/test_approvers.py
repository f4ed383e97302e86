"""Who decides, under which name, and whose request is their own."""

import msgspec
import pytest

from bedrock_remediator.core.approval import Approver, may_approve, own_request, seems_own
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

    @pytest.mark.parametrize(
        ("principal", "session", "source_identity", "own"),
        [
            ("user/alice", None, None, True),
            ("user/people/Alice@Example.com", None, None, True),
            ("user/alice@elsewhere.com", None, None, False),
            ("user/alicia", None, None, False),
            ("role/alice", None, None, False),
            ("role/app", "alice", None, True),
            ("role/app", "ALICE@example.com", None, True),
            ("role/app", "alice+bedrock@example.com", None, True),
            ("role/app", "alice@elsewhere.com", None, False),
            ("role/app", "i-0abc", "alice@example.com", True),
            ("role/app", "i-0abc", "alice", True),
            ("role/app", "i-0abc", "bob", False),
            ("role/app", None, None, False),
        ],
    )
    @pytest.mark.parametrize(
        "approver",
        [
            Approver.by_oidc("Alice Doe", ["alice@example.com", "6a1f"]),
            Approver.by_oidc("alice@example.com"),
            Approver.by_slack("U0123", "alice@example.com"),
            Approver.by_api(f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/alice@example.com"),
        ],
    )
    def test_are_told_by_every_name_that_is_verified(
        self,
        approver: Approver,
        principal: str,
        session: str | None,
        source_identity: str | None,
        own: bool,  # noqa: FBT001 - a parameter
    ) -> None:
        """The IAM user's, the session's and the source identity's; an address and its name alone are one person's."""
        row = waiting(principal=f"arn:aws:iam::{ACCOUNT}:{principal}")
        sighting = msgspec.structs.replace(row.sighting, session=session, source_identity=source_identity)
        assert own_request(approver, msgspec.structs.replace(row, sighting=sighting)) is own

    def test_are_told_by_the_subject_and_by_iam_users_of_one_name(self) -> None:
        """Whatever the provider calls the person may be the session's name; and IAM users of two accounts are one."""
        row = waiting(principal=f"arn:aws:iam::{ACCOUNT}:user/dev")
        assert own_request(Approver.by_oidc("Alice", ["alice@example.com", "dev"]), row)
        assert own_request(Approver.by_api("arn:aws:iam::111122223333:user/Dev"), row)
        assert own_request(Approver.by_api("arn:aws:sts::111122223333:assumed-role/x/dev"), row)

    @pytest.mark.parametrize("name", ["i-0123456789abcdef0", "1701345600", "botocore-session-17", "aws-go-sdk-17"])
    def test_names_that_machines_are_given_tell_nobody(self, name: str) -> None:
        """Two sessions that an SDK named are no one person's."""
        row = waiting()
        row = msgspec.structs.replace(row, sighting=msgspec.structs.replace(row.sighting, session=name))
        assert not own_request(Approver.by_api(f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/{name}"), row)

    @pytest.mark.parametrize(
        ("typed", "like"),
        [
            ("alice.doe@example.com", True),
            ("Alice Doe", True),
            ("ALICE_DOE", True),
            ("alice.doe@elsewhere.com", True),
            ("Alice", False),
            ("Bob", False),
            ("@", False),
        ],
    )
    def test_a_typed_name_like_the_callers_is_no_proof_and_is_noticed(self, typed: str, like: bool) -> None:  # noqa: FBT001 - a parameter
        """Anybody can type anything, so it is recorded and not refused."""
        row = waiting()
        row = msgspec.structs.replace(
            row, sighting=msgspec.structs.replace(row.sighting, session="alice.doe@example.com")
        )
        approver = Approver.by_link(typed)
        assert not own_request(approver, row)
        assert seems_own(approver, row) is like
        assert not seems_own(Approver.by_oidc("alice.doe@example.com"), row)

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
        assert Approver.by_api(session) == Approver(name=session, via=Via.API, arn=session, names=("bob",))
        user = f"arn:aws:iam::{ACCOUNT}:user/people/bob"
        assert Approver.by_api(user) == Approver(name=user, via=Via.API, arn=user, names=("bob",))
        assert Approver.by_api(ROLE).names == ()
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
    assert ALICE.names == ()
    assert BOB.names == ("bob@example.com",)
