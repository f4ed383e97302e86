"""A synthetic denial through the deployed stack, and what becomes of it.

It can never grant anything: the role that it names has a name of its own that nobody has, so triage finds no principal
to grant to; a role that is made under that name later is newer than the call, which triage refuses too; and the event
is marked as backfilled, which keeps it from applying by itself whatever a rule says.
"""

import json
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from bedrock_remediator.aws.ledger.items import FIRST_ROW, notice_key
from bedrock_remediator.aws.ledger.read import LedgerReader
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator_cli.backfill.records import DETAIL_TYPE, ORIGIN

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NAME: Final = "bedrock-remediator-doctor-test"
_MODEL: Final = "us.example.doctor-test-v1:0"
_EVERY: Final = 3.0


class Synthetic(Struct, frozen=True, kw_only=True):
    """A denial of a role that does not exist."""

    id: str
    principal: str
    body: str


class Watched(Struct, frozen=True, kw_only=True):
    """What was seen: the row and whether its notice went out, each with the seconds it took; None = not in time."""

    row: Grant | None
    row_seconds: float | None
    notice_seconds: float | None

    @property
    def well(self) -> bool:
        """Whether the whole way was gone, and the end is the one that it must have."""
        return self.row is not None and self.row.state is State.REPORTED and self.notice_seconds is not None


def synthetic_denial(account: str, partition: str, region: str, now: datetime) -> Synthetic:
    """A denial of this moment."""
    identifier = str(uuid.uuid4())
    role = f"{NAME}-{identifier[:8]}"
    session = f"arn:{partition}:sts::{account}:assumed-role/{role}/doctor"
    principal = f"arn:{partition}:iam::{account}:role/{role}"
    profile = f"arn:{partition}:bedrock:{region}:{account}:inference-profile/{_MODEL}"
    action, time = "bedrock:InvokeModel", f"{now:%Y-%m-%dT%H:%M:%SZ}"
    record = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROADOCTORTESTEXAMPLE:doctor",
            "arn": session,
            "accountId": account,
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": principal, "accountId": account}},
        },
        "eventTime": time,
        "eventSource": "bedrock.amazonaws.com",
        "eventName": "InvokeModel",
        "awsRegion": region,
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "bedrock-remediator doctor",
        "errorCode": "AccessDenied",
        "errorMessage": f"User: {session} is not authorized to perform: {action} on resource: {profile} because no "
        f"identity-based policy allows the {action} action",
        "requestParameters": {"modelId": _MODEL},
        "responseElements": None,
        "eventID": identifier,
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    envelope = {
        "version": "0",
        "id": identifier,
        "detail-type": DETAIL_TYPE,
        "source": "aws.bedrock",
        "account": account,
        "time": time,
        "region": region,
        "resources": [],
        "detail": record,
        "origin": ORIGIN,
    }
    return Synthetic(id=identifier, principal=principal, body=json.dumps(envelope))


class Watch:
    """Waits for what the stack makes of it.

    Args:
        client: DynamoDB's.
        table: The ledger.
        clock: Waits.
    """

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._reader = LedgerReader(client, table, clock)

    def of(self, event: Synthetic, patience: float, tell: Callable[[str], Any]) -> Watched:
        """Wait for the row that triage writes, then for the marker that says that its notice went out.

        Args:
            event: What was sent.
            patience: Seconds, for both together.
            tell: Told what is waited for.

        Raises:
            RetryableError: The ledger does not answer at the moment.
        """
        waited, row, row_seconds = 0.0, None, None
        tell("Waiting for the row in the ledger.")
        while True:
            if row is None:
                row = next(iter(self._reader.with_counters(event.principal, FIRST_ROW).grants), None)
                if row is not None:
                    row_seconds = waited
                    tell(f"The row is there, {row.state} ({row.reason_code}). Waiting for its notice to go out.")
            if row is not None and self._sent(row):
                return Watched(row=row, row_seconds=row_seconds, notice_seconds=waited)
            if waited >= patience:
                return Watched(row=row, row_seconds=row_seconds, notice_seconds=None)
            self._clock.sleep(_EVERY)
            waited += _EVERY

    def _sent(self, row: Grant) -> bool:
        answer = self._client.get_item(TableName=self._table, Key=notice_key(row), ConsistentRead=True)
        return answer.get("Item", {}).get("status", {}).get("S") == "sent"
