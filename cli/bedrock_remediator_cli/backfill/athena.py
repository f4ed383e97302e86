"""Records by Athena, from the table of an organization's trail: the query, and its run."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from msgspec import Struct

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.cloudtrail import INVOCATIONS
from bedrock_remediator_cli.trouble import EnvironmentTrouble

_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,128}(\.[A-Za-z0-9_]{1,128}){0,2}")
_SECONDS: Final = 2.0
_LONGEST: Final = 1800.0
_PAGE: Final = 1000
_COLUMNS: Final = (
    ("eventID", "eventid"),
    ("sharedEventID", "sharedeventid"),
    ("eventTime", "eventtime"),
    ("eventSource", "eventsource"),
    ("eventName", "eventname"),
    ("awsRegion", "awsregion"),
    ("sourceIPAddress", "sourceipaddress"),
    ("userAgent", "useragent"),
    ("errorCode", "errorcode"),
    ("errorMessage", "errormessage"),
    ("requestParameters", "requestparameters"),
    ("recipientAccountId", "recipientaccountid"),
    ("identity_type", "useridentity.type"),
    ("identity_principal_id", "useridentity.principalid"),
    ("identity_arn", "useridentity.arn"),
    ("identity_account", "useridentity.accountid"),
    ("issuer_arn", "useridentity.sessioncontext.sessionissuer.arn"),
)
_IDENTITY: Final = {
    "type": "identity_type",
    "principalId": "identity_principal_id",
    "arn": "identity_arn",
    "accountId": "identity_account",
}


class Athena(Protocol):
    """What is asked of Athena."""

    def start_query_execution(self, **arguments: Any) -> Mapping[str, Any]:
        """Begin a query."""
        ...

    def get_query_execution(self, **arguments: Any) -> Mapping[str, Any]:
        """How it stands."""
        ...

    def get_query_results(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of its rows."""
        ...


class Place(Struct, frozen=True, kw_only=True):
    """Where a query runs: the workgroup and database, and where results go if the workgroup does not say."""

    workgroup: str
    database: str
    output: str | None = None


def query(table: str, since: datetime, until: datetime) -> str:
    """The query, for a table as CloudTrail's console makes it.

    Raises:
        EnvironmentTrouble: The table's name is none.
    """
    if not _NAME.fullmatch(table):
        raise EnvironmentTrouble(f"{table!r} is no table's name: write TABLE or DATABASE.TABLE")
    columns = ",\n  ".join(f'{column} AS "{name}"' for name, column in _COLUMNS)
    names = ", ".join(f"'{name}'" for name in INVOCATIONS)
    return (
        f"SELECT\n  {columns}\n"
        f"FROM {table}\n"
        f"WHERE eventsource = 'bedrock.amazonaws.com'\n"
        f"  AND eventname IN ({names})\n"
        f"  AND (errorcode LIKE 'AccessDenied%' OR (errorcode = 'ResourceNotFoundException'"
        f" AND errormessage LIKE '%Access denied%'))\n"
        f"  AND eventtime BETWEEN '{_moment(since)}' AND '{_moment(until)}'\n"
        f"ORDER BY eventtime"
    )


def run(client: Athena, text: str, place: Place, clock: Clock) -> Iterator[bytes]:
    """Run the query, wait for it, and read its rows as records.

    Raises:
        EnvironmentTrouble: It failed, or takes longer than half an hour.
        botocore.exceptions.ClientError: Athena refused.
    """
    more: dict[str, Any] = {"ResultConfiguration": {"OutputLocation": place.output}} if place.output else {}
    identifier = client.start_query_execution(
        QueryString=text, WorkGroup=place.workgroup, QueryExecutionContext={"Database": place.database}, **more
    )["QueryExecutionId"]
    _wait(client, identifier, clock)
    token: dict[str, str] = {}
    headed = False
    while True:
        page = client.get_query_results(QueryExecutionId=identifier, MaxResults=_PAGE, **token)
        # The first row of the first page names the columns; their order is ours, their case may be Athena's.
        for row in page["ResultSet"]["Rows"][0 if headed else 1 :]:
            names = (name for name, _ in _COLUMNS)
            yield _record(dict(zip(names, (cell.get("VarCharValue") for cell in row["Data"]), strict=False)))
        headed = True
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _wait(client: Athena, identifier: str, clock: Clock) -> None:
    waited = 0.0
    while waited < _LONGEST:
        status = client.get_query_execution(QueryExecutionId=identifier)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            return
        if status["State"] in {"FAILED", "CANCELLED"}:
            reason = status.get("StateChangeReason", status["State"])
            raise EnvironmentTrouble(f"Athena's query {identifier} failed: {reason}")
        clock.sleep(_SECONDS)
        waited += _SECONDS
    raise EnvironmentTrouble(f"Athena's query {identifier} has not ended after half an hour.")


def _record(row: Mapping[str, str | None]) -> bytes:
    """The record that a row was made of, as far as the service reads it."""
    identity: dict[str, Any] = {name: row[column] for name, column in _IDENTITY.items() if row.get(column)}
    plain = {name: value for name, value in row.items() if value is not None and "_" not in name}
    issuer = row.get("issuer_arn")
    if issuer:
        identity["sessionContext"] = {"sessionIssuer": {"arn": issuer}}
    parameters = plain.pop("requestParameters", None)
    return json.dumps({"userIdentity": identity, **plain, "requestParameters": _parameters(parameters)}).encode()


def _parameters(text: str | None) -> Any:
    """The request's parameters, which the table holds as JSON text."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
