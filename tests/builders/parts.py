"""What people, time and others do in stories."""

import json
from collections.abc import Mapping
from typing import Any, Final

from tests.builders.stories import Part, Stage

OUR_POLICY: Final = "policy/bedrock-access-remediator/role.app.1"


def in_turn(*parts: Part) -> Part:
    """One part after the other."""

    def play(stage: Stage) -> None:
        for part in parts:
            part(stage)

    return play


def denied(*events: Mapping[str, Any]) -> Part:
    """Calls are denied."""
    return lambda stage: stage.deny(*events)


def pressed(decision: str) -> Part:
    """A person presses a button on the page of each request."""
    return lambda stage: stage.press(decision)


def clicked(action: str) -> Part:
    """A person presses a button in Slack."""
    return lambda stage: stage.click(action)


def by_api(decision: str) -> Part:
    """A person decides about what waits, by the API."""

    def decide(stage: Stage) -> None:
        for request in stage.call("GET", "/api/requests?state=pending")["requests"]:
            body = {"decision": decision, "version": request["version"]}
            length = {"length": "none"} if decision == "approve" else {}
            stage.call("POST", f"/api/requests/{request['id']}", body | length)
        stage.sandbox.run()

    return decide


def revoked(number: int) -> Part:
    """A person takes back that many grants, the first ones, by the API."""

    def revoke(stage: Stage) -> None:
        found = stage.call("GET", "/api/requests?state=active")["requests"]
        for request in found[:number]:
            body = {"decision": "revoke", "version": request["version"]}
            stage.call("POST", f"/api/requests/{request['id']}", body)
        stage.sandbox.run()

    return revoke


def later(**length: float) -> Part:
    """Time goes by."""
    return lambda stage: stage.later(**length)


def stripped(account: str) -> Part:
    """Somebody takes a statement out of our policy in an account."""

    def strip(stage: Stage) -> None:
        arn = f"arn:aws:iam::{account}:{OUR_POLICY}"
        policy = stage.sandbox.accounts.directory(arn).backend.managed_policies[arn]
        version = next(each for each in policy.versions if each.version_id == policy.default_version_id)
        document = json.loads(version.document)
        version.document = json.dumps({**document, "Statement": document["Statement"][:1]})

    return strip
