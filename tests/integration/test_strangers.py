"""Callers whose words nobody vouches for: how many rows, counters and alerts they can make, and under which keys."""

import json
import string
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedrock_remediator.aws.ledger.write import Ledger
from bedrock_remediator.core.grant import DiagnosisKind, State
from bedrock_remediator.notices.notice import Occasion, occasion
from tests.builders import records as make
from tests.builders.aws import FakeIam
from tests.builders.clocks import StoppedClock
from tests.builders.triage import SK, US, Service

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OTHER: Final = "444455556666"
KEY_BYTES: Final = {"pk": 2048, "sk": 1024}
"""DynamoDB's limits, in UTF-8."""


@pytest.fixture
def service(ledger: Ledger, clock: StoppedClock) -> Service:
    """Triage on the empty ledger."""
    return Service(ledger, clock)


def denial(number: int, **record: Any) -> dict[str, Any]:
    """An event of its own."""
    return make.event(make.record(**({"eventID": f"event-{number}"} | record)))


def items(dynamodb: "DynamoDBClient") -> list[dict[str, Any]]:
    """All that the ledger holds."""
    return dynamodb.scan(TableName="ledger", ConsistentRead=True)["Items"]


def strangers(number: int) -> dict[str, Any]:
    """One of many calls from another account: another session, resource, layer and policy each time."""
    session = f"arn:aws:sts::{OTHER}:assumed-role/eve/session-{number}"
    layer = ("identity-based policy", "session policy", "service control policy")[number % 3]
    policy = f": arn:aws:iam::{OTHER}:policy/p{number}" if number % 2 else ""
    why = f"with an explicit deny in a {layer}{policy}" if number % 4 else "because nobody knows"
    return denial(
        number,
        userIdentity={"type": "AWSAccount", "principalId": f"AROAEVE:session-{number}", "accountId": OTHER},
        errorMessage=make.message(session, resource=make.model(model_id=f"junk-{number}"), why=why),
        requestParameters={"modelId": f"junk-{number}"},
    )


def test_sixty_names_of_another_account_are_one_row_and_no_alert(service: Service, dynamodb: "DynamoDBClient") -> None:
    """Whatever its principals call themselves and what they call: one piece of advice, under their account."""
    for start in range(0, 60, 20):
        service.handle(*(strangers(number) for number in range(start, start + 20)))
    (row,) = (item for item in items(dynamodb) if "state" in item)
    assert row["pk"]["S"] == f"account/{OTHER}/AWSAccount/all"
    found = service.ledger.grant(row["pk"]["S"], row["sk"]["S"])
    assert found is not None
    assert (found.state, found.diagnosis, found.reason_code) == (
        State.REPORTED,
        DiagnosisKind.NOT_FIXABLE,
        "other_account",
    )
    assert (found.account, OTHER in found.reason, occasion(found)) == (make.ACCOUNT, True, Occasion.ADVICE)
    assert len(items(dynamodb)) <= 12
    assert service.ledger.denials(found.pk, found.sk).count == 60
    assert service.iam.asked == service.profiles.asked == []


def test_two_accounts_are_two_rows(service: Service, dynamodb: "DynamoDBClient") -> None:
    """Each account's administrators are told apart."""
    mine = strangers(1)
    other = json.loads(json.dumps(mine).replace(OTHER, "123456789012"))
    other["detail"]["eventID"] = "event-2"
    assert service.handle(mine, other) == {"reported": 2}
    assert len({item["pk"]["S"] for item in items(dynamodb)}) == 2


@pytest.mark.parametrize("kind", ["FederatedUser", "AWSService", "Directory", "Unknown", "Whatever"])
def test_callers_that_name_themselves_share_their_rows(service: Service, dynamodb: "DynamoDBClient", kind: str) -> None:
    """A federated user chooses its name, and so on: the rows are those of the type, however many names there are."""
    for number in range(40):
        name = f"name-{number}"
        identity = {"type": kind, "principalId": f"{make.ACCOUNT}:{name}", "accountId": make.ACCOUNT}
        message = make.message(f"arn:aws:sts::{make.ACCOUNT}:federated-user/{name}", resource=make.model(model_id=name))
        service.handle(denial(number, userIdentity=identity, errorMessage=message))
    rows = [item for item in items(dynamodb) if "state" in item]
    assert [item["pk"]["S"] for item in rows] == [f"account/{make.ACCOUNT}/{kind}/all"]
    # The row, its counter, and what the caller has used of its bounds.
    assert len(items(dynamodb)) == 3


def test_a_leaked_key_of_a_federated_user_is_still_an_alert(service: Service) -> None:
    """Folding hides no quarantine: it is told from the other denials of such callers, once."""
    identity = {"type": "FederatedUser", "principalId": f"{make.ACCOUNT}:x", "accountId": make.ACCOUNT}
    named = f"arn:aws:sts::{make.ACCOUNT}:federated-user/x"
    deny = "with an explicit deny in an identity-based policy: arn:aws:iam::"
    plain = make.message(named, why=f"{deny}{make.ACCOUNT}:policy/no")
    quarantine = make.message(named, why=f"{deny}aws:policy/AWSCompromisedKeyQuarantineV3")
    events = [
        denial(number, userIdentity=identity, errorMessage=text) for number, text in enumerate((plain, quarantine))
    ]
    assert service.handle(*events) == {"reported": 2}
    rows = service.rows(f"account/{make.ACCOUNT}/FederatedUser/all")
    assert {row.reason_code: occasion(row) for row in rows} == {
        "explicit_deny": Occasion.ADVICE,
        "quarantined": Occasion.ALERT,
    }


FALSE = f"arn:aws:iam::{make.ACCOUNT}:role/forged/llm-app"
ISSUER = {"sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLEROLE000001", "arn": FALSE}}


def test_a_role_under_a_path_that_it_does_not_have_is_an_alert(service: Service, dynamodb: "DynamoDBClient") -> None:
    """A role's path never changes: the row stands under the role that IAM knows, and nothing under the false key."""
    service.mode = service.mode.AUTO
    service.rules(
        {
            "name": "all",
            "effect": "auto",
            "principals": ["arn:aws:iam::*:role/**"],
            "profiles": ["*"],
            "models": ["*"],
        }
    )
    service.iam.path = "/service/"
    event = denial(1, userIdentity=make.role_identity(sessionContext=ISSUER))
    assert service.handle(event) == {"reported": 1}
    assert {item["pk"]["S"] for item in items(dynamodb)} == {make.ROLE}
    (row,) = service.rows()
    assert (row.reason_code, row.principal, occasion(row)) == ("identity_mismatch", make.ROLE, Occasion.ALERT)
    assert FALSE in row.reason
    assert service.handle(event) == {"copy": 1}
    assert service.handle(denial(2, userIdentity=make.role_identity(sessionContext=ISSUER))) == {"repeat": 1}
    assert service.handle(denial(3)) == {"approved": 1}


def test_a_user_that_was_moved_is_filed_where_it_is(service: Service) -> None:
    """A user's path can change (UpdateUser): its UserId says that it is the same, and its denial is handled there."""
    service.grantable, service.iam.path = ("arn:aws:iam::*:user/**",), "/moved/"
    identity = make.user_identity(principalId="AROAEXAMPLEROLE000001")
    assert service.handle(denial(1, userIdentity=identity, errorMessage=make.message(make.USER))) == {"pending": 1}
    (row,) = service.rows(f"arn:aws:iam::{make.ACCOUNT}:user/moved/dev")
    assert (row.sk, row.principal) == (SK, row.pk)
    assert service.rows(make.USER) == []


def test_another_user_of_that_name_is_an_alert(service: Service) -> None:
    """With another UserId, a wrong path contradicts IAM."""
    service.grantable, service.iam.path = ("arn:aws:iam::*:user/**",), "/moved/"
    service.handle(denial(1, userIdentity=make.user_identity(), errorMessage=make.message(make.USER)))
    (row,) = service.rows(f"arn:aws:iam::{make.ACCOUNT}:user/moved/dev")
    assert (row.reason_code, occasion(row)) == ("identity_mismatch", Occasion.ALERT)
    assert service.rows(make.USER) == []


def test_a_role_that_was_made_anew_elsewhere_is_no_alert(service: Service) -> None:
    """Where the role of that name is younger than the call, the record is about its predecessor."""
    service.iam = FakeIam(path="/service/", created_at=service.clock.now() + timedelta(hours=1))
    service.handle(denial(1, userIdentity=make.role_identity(sessionContext=ISSUER)))
    assert [row.reason_code for row in service.rows(FALSE)] == ["principal_recreated"]


LETTERS = (*string.ascii_letters, "/", "é", "漢", "😀", ":", "#", " ")
LONG = st.builds(str.__mul__, st.sampled_from(LETTERS), st.integers(600, 4000))


@st.composite
def overlong(draw: st.DrawFn) -> dict[str, Any]:
    """A denial some of whose words are longer than any key may be."""
    words = draw(LONG)
    role = f"arn:aws:iam::{make.ACCOUNT}:role/{words}/llm-app"
    identity = draw(
        st.sampled_from(
            (
                make.role_identity(sessionContext={"sessionIssuer": {"arn": role}}),
                make.role_identity(principalId=words),
                make.role_identity(arn=f"{make.SESSION}{words}"),
                make.role_identity(accountId=words),
                make.user_identity(arn=f"arn:aws:iam::{make.ACCOUNT}:user/{words}/dev"),
                {"type": words},
                {"type": "Root", "principalId": words, "accountId": make.ACCOUNT},
                {"type": "IdentityCenterUser", "principalId": words},
                {"type": "FederatedUser", "principalId": words},
                {"type": "AWSAccount", "principalId": words, "accountId": words},
                make.role_identity(),
            )
        )
    )
    resource = draw(st.sampled_from((US.arn, make.model(model_id=words), US.arn + words, words)))
    text = draw(st.sampled_from((make.message(identity.get("arn") or "x", resource), words, "?")))
    called = draw(st.sampled_from((make.PROFILE_ID, words, US.arn + words, make.model(model_id=words))))
    record = {"userIdentity": identity, "errorMessage": text, "requestParameters": {"modelId": called}}
    for name in draw(st.sets(st.sampled_from(("eventID", "sharedEventID", "userAgent", "sourceIPAddress")))):
        record[name] = words
    return record


def test_a_key_that_is_too_long_hurts_nobody(service: Service, dynamodb: "DynamoDBClient") -> None:
    """Each such denial ends in a row, and an honest one of the same batch is handled as if it were alone."""
    number = 0

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(overlong(), min_size=1, max_size=4))
    def holds(records: list[dict[str, Any]]) -> None:
        nonlocal number
        number += 1
        events = [denial(number * 10 + place, **record) for place, record in enumerate(records)]
        honest = denial(number * 10 + 9)
        summary = service.triage().handle(
            {str(place): json.dumps(event, ensure_ascii=False) for place, event in enumerate([*events, honest])}
        )
        assert not summary.failed
        assert "refused" not in summary.counts
        assert sum(summary.counts.values()) == len(events) + 1

    holds()
    assert service.row(SK).state is State.PENDING
    assert service.ledger.denials(make.ROLE, SK).count >= number
    for item in items(dynamodb):
        assert all(len(item[name]["S"].encode()) <= most for name, most in KEY_BYTES.items())


def test_words_without_end_fill_no_item(service: Service, dynamodb: "DynamoDBClient") -> None:
    """Of an event longer than any of AWS's the words are cut: what they make stays far below DynamoDB's 400 KB."""
    for number in range(8):
        words = f"{number}{'w' * 250_000}"
        record = {"userIdentity": {"type": words, "principalId": words, "accountId": words}, "errorMessage": words}
        more = {"eventID": words, "sharedEventID": f"{words}x", "userAgent": words, "sourceIPAddress": words}
        assert service.handle(denial(number, **record, **more, awsRegion=words)) == {"reported": 1}
        long_id = denial(number, eventID=words, sharedEventID=f"s{words}")
        assert service.handle(long_id).keys() <= {"pending", "repeat"}
        assert service.handle(long_id) == {"copy": 1}
    assert max(len(json.dumps(item)) for item in items(dynamodb)) < 40_000
    assert service.ledger.denials(make.ROLE, SK).count == 8
