"""From a CloudTrail record to a denial: every identity type, missing and null fields, and disagreement."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.cloudtrail import Denial, RecordError, Unreadable, read
from bedrock_remediator.core.layers import Effect, Layer
from tests.builders import records as make

STRANGER = {"type": "AWSAccount", "principalId": "AROAEVE:x", "accountId": "444455556666"}


def denial(detail: dict[str, Any] | None = None, **envelope: Any) -> Denial:
    """The denial, which must be readable."""
    found = read(json.dumps(make.event(detail, **envelope)))
    assert isinstance(found, Denial), found
    return found


def unreadable(detail: dict[str, Any] | None = None, **envelope: Any) -> Unreadable:
    """The record, which must be unreadable."""
    found = read(json.dumps(make.event(detail, **envelope)))
    assert isinstance(found, Unreadable), found
    return found


def test_a_roles_denial_is_read_whole() -> None:
    """A role's session becomes the role with its path; message, request and times are kept."""
    found = denial()
    assert found.caller.principal == Principal("aws", make.ACCOUNT, "role", "/service/", "llm-app")
    assert found.caller.path_known
    assert (found.caller.id, found.caller.session) == ("AROAEXAMPLEROLE000001", "web-1")
    assert found.caller.partition_key == make.ROLE
    assert (found.action, str(found.resource), found.model_id) == (make.ACTION, make.PROFILE, make.PROFILE_ID)
    assert found.time == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert (found.account, found.region, found.layer) == (make.ACCOUNT, make.REGION, Layer.IDENTITY)
    assert not found.backfill


def test_every_field_is_the_records_own() -> None:
    """Each field of the denial, its caller's included, is taken from its own place in the record."""
    assert denial(make.record(vpcEndpointId="vpce-1")).vpc_endpoint == "vpce-1"
    found = denial(make.record(sharedEventID="shared", sourceIPAddress="10.0.0.1", userAgent="agent"))
    fields = make.record()
    assert (found.event_id, found.shared_event_id) == (fields["eventID"], "shared")
    assert (found.source_ip, found.user_agent, found.message) == ("10.0.0.1", "agent", fields["errorMessage"])
    assert (found.effect, found.policy_arn, found.certain) == (Effect.IMPLICIT, None, True)
    assert (found.caller.type, found.caller.account, found.caller.arn) == ("AssumedRole", make.ACCOUNT, make.SESSION)
    record = unreadable(
        make.record(errorMessage="?", sharedEventID="shared", sourceIPAddress="10.0.0.1", userAgent="agent")
    )
    assert (record.event_id, record.shared_event_id, record.time) == (fields["eventID"], "shared", found.time)
    assert (record.account, record.region, record.caller) == (make.ACCOUNT, make.REGION, found.caller)
    assert (record.message, record.source_ip, record.user_agent) == ("?", "10.0.0.1", "agent")
    assert record.reason.startswith("The error message has no form")


def test_a_place_that_is_not_told_contradicts_nothing() -> None:
    """Where the envelope or the record leaves out an account or a region, the others tell it."""
    assert denial(make.record(recipientAccountId=None)).account == make.ACCOUNT
    assert denial(region=None).region == make.REGION


def test_bytes_and_text_read_alike() -> None:
    """A body may come as text or as bytes."""
    body = json.dumps(make.event())
    assert read(body) == read(body.encode())


def test_a_users_denial_is_read() -> None:
    """An IAM user's ARN is its principal."""
    found = denial(make.record(userIdentity=make.user_identity(), errorMessage=make.message(make.USER)))
    assert found.caller.principal is not None
    assert found.caller.principal.arn == make.USER
    assert (found.caller.id, found.caller.session) == ("AIDAEXAMPLEUSER000001", None)


def test_a_role_that_calls_as_itself_is_its_own_principal() -> None:
    """An identity of type Role carries the role's ARN."""
    identity = {"type": "Role", "arn": make.ROLE, "accountId": make.ACCOUNT, "principalId": "AROAEXAMPLEROLE000001"}
    found = denial(make.record(userIdentity=identity, errorMessage=make.message(make.ROLE)))
    assert found.caller.partition_key == make.ROLE


def test_a_session_without_issuer_leaves_the_path_unknown() -> None:
    """The ARN of a session does not tell the role's path, and the caller says so."""
    found = denial(make.record(userIdentity=make.role_identity(sessionContext=None)))
    assert found.caller.principal == Principal("aws", make.ACCOUNT, "role", "/", "llm-app")
    assert not found.caller.path_known


def test_a_session_known_by_its_issuer_alone_is_compared_by_role() -> None:
    """Without the session's ARN, the message's session must be of the issuer's role."""
    assert denial(make.record(userIdentity=make.role_identity(arn=None))).caller.partition_key == make.ROLE
    other = make.message(f"arn:aws:sts::{make.ACCOUNT}:assumed-role/other/web-1")
    assert (
        unreadable(make.record(userIdentity=make.role_identity(arn=None), errorMessage=other)).code
        == "identity_mismatch"
    )
    no_session = make.record(userIdentity=make.role_identity(arn=None), errorMessage=make.message("anonymous"))
    assert unreadable(no_session).code == "identity_mismatch"


@pytest.mark.parametrize(
    ("identity", "named", "key"),
    [
        (
            {"type": "Root", "arn": f"arn:aws:iam::{make.ACCOUNT}:root", "principalId": make.ACCOUNT},
            None,
            f"Root/{make.ACCOUNT}",
        ),
        (
            {
                "type": "FederatedUser",
                "arn": f"arn:aws:sts::{make.ACCOUNT}:federated-user/eve",
                "principalId": f"{make.ACCOUNT}:eve",
            },
            None,
            "FederatedUser/all",
        ),
        (
            {"type": "IdentityCenterUser", "principalId": "u-1"},
            f"arn:aws:sts::{make.ACCOUNT}:x/y",
            "IdentityCenterUser/u-1",
        ),
        ({"type": "Directory", "principalId": "d-1"}, "someone", "Directory/all"),
        ({"type": "AWSAccount", "principalId": "AIDAX"}, None, "AWSAccount/all"),
        ({"type": "AWSService", "invokedBy": "example.amazonaws.com"}, "example.amazonaws.com", "AWSService/all"),
        ({"type": "Unknown"}, "x", "Unknown/all"),
        ({}, "x", "Unknown/all"),
    ],
)
def test_callers_without_a_policy_of_their_own_have_no_principal(
    identity: dict[str, str], named: str | None, key: str
) -> None:
    """Whoever is neither role nor user is recorded under account, type and id, and has no principal to grant to."""
    given = identity | ({"accountId": make.ACCOUNT} if identity.get("type") in ("Root", "FederatedUser") else {})
    named = named or identity.get("arn") or "anonymous"
    found = denial(make.record(userIdentity=given, errorMessage=make.message(named)))
    assert found.caller.principal is None
    assert found.caller.partition_key == f"account/{make.ACCOUNT}/{key}"
    assert found.account == make.ACCOUNT


@pytest.mark.parametrize(
    ("changes", "envelope"),
    [
        ({}, {"account": "444455556666"}),
        ({"recipientAccountId": "444455556666"}, {}),
        ({"awsRegion": "eu-central-1"}, {}),
        ({"errorMessage": make.message(make.USER)}, {}),
        ({"userIdentity": make.role_identity(accountId="444455556666")}, {}),
        ({"userIdentity": make.user_identity(arn="arn:aws:iam::444455556666:user/dev")}, {}),
        ({"userIdentity": make.role_identity(arn=make.SESSION.replace("llm-app", "other"))}, {}),
        ({"userIdentity": make.user_identity(arn=None)}, {}),
        ({"userIdentity": make.role_identity(arn=None, sessionContext={})}, {}),
        ({"userIdentity": make.user_identity(arn="arn:aws:iam::111122223333:user/*")}, {}),
        (
            {"userIdentity": {"type": "AWSAccount"}, "errorMessage": make.message("arn:aws:iam::444455556666:user/x")},
            {},
        ),
        ({"userIdentity": STRANGER}, {"account": "123456789012"}),
        ({"userIdentity": STRANGER, "recipientAccountId": "123456789012"}, {}),
        ({"userIdentity": make.role_identity(accountId="444455556666")}, {"account": "444455556666"}),
    ],
)
def test_an_event_that_contradicts_itself_is_refused(changes: dict[str, Any], envelope: dict[str, Any]) -> None:
    """Envelope, record, identity and message must name one account, one region and one principal."""
    assert unreadable(make.record(**changes), **envelope).code == "identity_mismatch"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"errorMessage": None}, "message_missing"),
        ({"errorMessage": "No form at all"}, "message_unreadable"),
        ({"errorMessage": make.message().ljust(1024, "x")}, "message_truncated"),
        ({"eventTime": None}, "record_incomplete"),
        ({"awsRegion": None}, "record_incomplete"),
        ({"awsRegion": "us-east-1.example.com/"}, "record_incomplete"),
        ({"eventTime": "yesterday"}, "record_malformed"),
        ({"userIdentity": "root"}, "record_malformed"),
        ({"errorMessage": {"text": "x"}}, "record_malformed"),
        (
            {"errorMessage": make.message(resource="arn:aws:bedrock:us-east-1::foundation-model/*")},
            "resource_unreadable",
        ),
        ({"errorMessage": make.message(resource="arn:aws:s3:::bucket")}, "resource_unreadable"),
        ({"errorMessage": make.message(resource="${aws:username}")}, "resource_unreadable"),
        ({"errorMessage": "This Model is marked by provider as Legacy.", "eventName": "Mystery"}, "action_unknown"),
    ],
)
def test_what_cannot_be_read_is_kept_with_its_reason(changes: dict[str, Any], code: str) -> None:
    """A record that cannot be read keeps its caller, its text and the reason, and is never a denial."""
    found = unreadable(make.record(**changes))
    assert found.code == code
    assert found.event_id == "11111111-2222-3333-4444-555555555555"
    text = make.record(**changes)["errorMessage"]
    assert found.message == (text if isinstance(text, str) else "")


def test_a_malformed_record_still_tells_who_and_when() -> None:
    """Of a record with a field of an unexpected type, all the rest is kept."""
    found = unreadable(make.record(awsRegion=7), id=9)
    assert found.caller.partition_key.startswith(f"arn:aws:iam::{make.ACCOUNT}:role/")
    assert (found.region, found.time) == (make.REGION, datetime(2026, 11, 20, 10, tzinfo=UTC))
    nothing = read(json.dumps({"detail": {"errorMessage": 1}}))
    assert isinstance(nothing, Unreadable)
    assert (nothing.event_id, nothing.region, nothing.time.year) == ("unknown", "unknown", 1970)


@pytest.mark.parametrize("parameters", [None, {}, {"modelId": None}, {"modelId": 5}, "text", []])
def test_request_parameters_may_be_anything(parameters: Any) -> None:
    """Where the request's parameters hold no modelId, the message alone tells."""
    found = denial(make.record(requestParameters=parameters))
    assert (found.model_id, str(found.resource)) == (None, make.PROFILE)
    without = make.record()
    del without["requestParameters"]
    assert denial(without).model_id is None


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("Converse", "bedrock:InvokeModel"),
        ("ConverseStream", "bedrock:InvokeModelWithResponseStream"),
        ("InvokeModel", "bedrock:InvokeModel"),
        ("InvokeModelWithResponseStream", "bedrock:InvokeModelWithResponseStream"),
    ],
)
def test_a_refusal_without_an_action_takes_it_from_the_operation(operation: str, action: str) -> None:
    """Model-access refusals name no action: the operation tells which it authorises as."""
    text = "You don't have access to the model with the specified model ID."
    found = denial(make.record(errorMessage=text, eventName=operation))
    assert (found.action, found.layer, found.resource) == (action, Layer.MODEL_ACCESS, None)


def test_the_envelopes_id_stands_in_for_a_missing_event_id() -> None:
    """A record without eventID is known by its envelope's id; a shared id is kept."""
    found = denial(make.record(eventID=None, sharedEventID="s-1"))
    assert (found.event_id, found.shared_event_id) == ("99999999-8888-7777-6666-555555555555", "s-1")


def test_a_time_without_zone_is_utc_and_fractions_are_dropped() -> None:
    """Times are UTC to the second."""
    assert denial(make.record(eventTime="2026-11-20T10:00:00.750")).time == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert denial(make.record(eventTime="2026-11-20T11:00:00+01:00")).time == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_backfilled_events_say_so() -> None:
    """An event that was sent again by an operator is marked, so that it never applies by itself."""
    assert denial(origin="backfill").backfill
    assert denial(origin="redrive").backfill


def test_an_unknown_resource_star_names_no_resource() -> None:
    """`on resource: *` says nothing about the resource."""
    assert denial(make.record(errorMessage=make.message(resource="*"))).resource is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"{}",
        b'{"detail": 5}',
        b'{"detail": null}',
        b"\xff\xfe",
        b'{"detail": "\xff"}',
        b'{"detail": {"requestParameters": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_event_at_all_is_an_error(body: bytes) -> None:
    """Bytes that hold no CloudTrail record cannot be written down, and say why."""
    with pytest.raises(RecordError):
        read(body)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "0999-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_cannot_be_is_no_time(time: str) -> None:
    """It has none in UTC, or none that the ledger can sort: the record is incomplete, and nothing is raised."""
    denial = read(json.dumps(make.event(make.record(eventTime=time))))
    assert isinstance(denial, Unreadable)
    assert (denial.code, denial.time) == ("record_incomplete", datetime.fromtimestamp(0, UTC))


@pytest.mark.parametrize(
    "resource",
    [
        make.PROFILE.replace(make.ACCOUNT, "444455556666"),
        make.PROFILE.replace("us-east-1", "us-west-2"),
        make.PROFILE.replace("arn:aws:", "arn:aws-cn:"),
    ],
)
def test_what_the_client_named_wrongly_contradicts_nothing(resource: str) -> None:
    """A resource of another account, region or partition is the client's mistake, and no sign of a forged event."""
    assert str(denial(make.record(errorMessage=make.message(resource=resource))).resource) == resource


@pytest.mark.parametrize("named", ["arn:aws:sts::444455556666:assumed-role/eve/x", "AROAEVE:x"])
def test_a_call_from_another_account_is_read_as_one(named: str) -> None:
    """Its account differs from the recipient's on purpose (facts §1.8): the denial is in the recipient's."""
    found = denial(make.record(userIdentity=STRANGER, errorMessage=make.message(named)))
    assert (found.account, found.caller.account, found.caller.principal) == (make.ACCOUNT, "444455556666", None)
    assert found.caller.partition_key == "account/444455556666/AWSAccount/all"
    unread = unreadable(make.record(userIdentity=STRANGER, errorMessage="?", recipientAccountId=None))
    assert (unread.code, unread.account) == ("message_unreadable", make.ACCOUNT)


def test_a_role_of_another_account_still_contradicts() -> None:
    """Only a caller of type AWSAccount comes from elsewhere: one with its whole identity belongs to the recipient."""
    identity = make.role_identity(accountId="444455556666")
    assert unreadable(make.record(userIdentity=identity)).code == "identity_mismatch"


@pytest.mark.parametrize(
    "identity", [{"type": "x" * 3000}, {"accountId": "1" * 3000}, {"type": "Root", "principalId": "é" * 2000}]
)
def test_a_caller_whose_key_would_be_too_long_is_known_by_a_digest(identity: dict[str, str]) -> None:
    """DynamoDB takes 2,048 bytes of a partition key, and refuses all of a batch for one that is longer."""
    found = read(json.dumps(make.event(make.record(userIdentity=identity))))
    assert len(found.caller.partition_key.encode()) <= 600
    other = read(json.dumps(make.event(make.record(userIdentity=identity | {"accountId": "2" * 3000}))))
    assert other.caller.partition_key != found.caller.partition_key


@pytest.mark.parametrize("length", [512, 513, 2000])
def test_a_role_with_a_path_longer_than_iam_knows_is_none(length: int) -> None:
    """IAM's paths have 512 characters at most: a record that has more contradicts itself."""
    path = f"/{'p' * (length - 2)}/"
    issuer = {"sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{make.ACCOUNT}:role{path}llm-app"}}
    found = read(json.dumps(make.event(make.record(userIdentity=make.role_identity(sessionContext=issuer)))))
    assert isinstance(found, Denial) is (length <= 512)
    assert len(found.caller.partition_key) <= 700


def test_the_authorization_id_is_kept() -> None:
    """A refusal of 2026 carries the id that GetRequestAuthorizationDetails explains it by."""
    tail = (
        ". Go to https://us-east-1.console.aws.amazon.com/iam/authorization-details/0a1b2c for complete details, or "
        "call the GetRequestAuthorizationDetails API with the following authorization id: 0a1b2c"
    )
    assert denial(make.record(errorMessage=make.message() + tail)).authorization_id == "0a1b2c"
    assert denial().authorization_id is None


def test_a_message_that_is_cut_here_is_known_as_cut() -> None:
    """Of an event longer than any of AWS's the words are cut, and never at a place that makes a denial of them."""
    text = make.message()
    for length in (1000, 1100, 5000, 20_000):
        found = read(json.dumps(make.event(make.record(errorMessage=text.ljust(length), userAgent="x" * 9000))))
        assert isinstance(found, Unreadable) is (length > 1000)
        assert len(found.message) <= 1100
    assert unreadable(make.record(errorMessage=text + "x" * 20_000, userIdentity=None)).code == "message_truncated"
    assert unreadable(make.record(userIdentity=7, userAgent="x" * 9000)).code == "record_malformed"


def test_whatever_is_kept_of_an_event_is_cut() -> None:
    """An item of the ledger holds 400 KB at most, and no field that is kept may be longer than AWS writes one."""
    long = "x" * 500_000
    context = make.role_identity()["sessionContext"] | {"sourceIdentity": long}
    found = denial(
        make.record(
            userIdentity=make.role_identity(sessionContext=context),
            userAgent=long,
            vpcEndpointId=long,
            vpcEndpointAccountId=long,
        )
    )
    kept = [found.user_agent, found.vpc_endpoint, found.vpc_endpoint_account, found.caller.source_identity]
    assert [len(each or "") for each in kept] == [1100] * 4


@pytest.mark.parametrize("source", ["alice@example.com", None])
def test_who_is_behind_a_chain_of_sessions_is_read(source: str | None) -> None:
    """CloudTrail's source identity, which no session of the chain can change (docs/aws-facts.md §7.21)."""
    context = make.role_identity()["sessionContext"] | ({"sourceIdentity": source} if source else {})
    found = denial(make.record(userIdentity=make.role_identity(sessionContext=context)))
    assert found.caller.source_identity == source
