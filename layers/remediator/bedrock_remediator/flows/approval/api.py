"""The API for the command line: IAM has authenticated the caller, and only the approvers' roles may use it.

| route | body | answer |
| --- | --- | --- |
| `GET /api/requests?state=pending` | | `{"requests": [request, …], "nextToken"}`, the oldest first |
| `GET /api/requests?state=pending&nextToken=…` | | the next page; the last has `"nextToken": null` |
| `GET /api/requests/{id}` | | request |
| `POST /api/requests/{id}` | `{"decision", "version", "reason", "length"}` | request, as it is after the decision |
| the same | `{"decision": "revoke_all", "reason"}` | `{"revoked": [request], "left": [{"id", "state", "error"}]}` |
| the same | `{"decision": "reject_all", "reason"}` | `{"rejected": [request], "left": [{"id", "state", "error"}]}` |

`id` is the request's id that notices carry. Every refusal is `{"error": code, "message": sentence}`; one because
somebody was first also tells `by`, `at` and `state`.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec

from bedrock_remediator.aws.ledger.items import BEGINNING, NEVER, Due, is_key
from bedrock_remediator.core.approval import (
    GRANTING,
    REJECT_ALL,
    REVOKE_ALL,
    Answer,
    Approver,
    Refusal,
    Verb,
    may_approve,
    possible,
)
from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.durations import parse_length
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.flows.approval.approval import Approval
from bedrock_remediator.flows.approval.results import (
    AlreadyDecided,
    Decided,
    LostRace,
    NotAllowed,
    NotFound,
    Stale,
    log_decision,
)
from bedrock_remediator.flows.links.links import Ticket
from bedrock_remediator.flows.web.http import BadRequestError, Request, Response
from bedrock_remediator.notices.notice import request_id

_LONGEST_ID: Final = 64
_ALL: Final = {REVOKE_ALL: (Verb.REVOKE, "revoked"), REJECT_ALL: (Verb.REJECT, "rejected")}
_NOT_FOUND: Final = "There is no request of that id."
_STALE: Final = "The request is no longer as it was at that version. Read it again."


class _RefusedError(Exception):
    """The request is answered by a refusal."""

    def __init__(self, status: int, code: str, sentence: str, **more: Any) -> None:
        super().__init__(code)
        self.response = refusal(status, code, sentence, **more)


class ApprovalApi:
    """Answers the routes under /api.

    Args:
        approval: The use case.
        roles: ARNs of the roles whose sessions may use the API.
    """

    def __init__(self, approval: Approval, roles: Sequence[str]) -> None:
        self._approval = approval
        self._roles = roles

    def list(self, request: Request) -> Response:
        """The requests in one state.

        Raises:
            RetryableError: AWS does not answer.
        """
        return _answered(self._list, request)

    def show(self, request: Request) -> Response:
        """One request.

        Raises:
            RetryableError: AWS does not answer.
        """
        return _answered(self._show, request)

    def decide(self, request: Request) -> Response:
        """Decide on a request.

        Raises:
            RetryableError: AWS does not answer.
        """
        return _answered(self._decide, request)

    def _list(self, request: Request) -> Response:
        self._approver(request)
        try:
            state = State(request.query.get("state", State.PENDING))
        except ValueError:
            states = ", ".join(State)
            raise _RefusedError(400, "bad_request", f"There is no such state. There are {states}.") from None
        behind = _behind(request.query["nextToken"]) if "nextToken" in request.query else None
        rows, end = self._approval.requests(state, behind)
        return Response.json({"requests": [_content(row) for row in rows], "nextToken": _token(end) if end else None})

    def _show(self, request: Request) -> Response:
        self._approver(request)
        view = self._approval.show(self._ticket(request))
        if view is None:
            raise _RefusedError(404, "not_found", _NOT_FOUND)
        denials = view.denials
        counted = {
            "count": denials.count if denials else 0,
            "first_at": _instant(denials.first_at if denials else None),
            "last_at": _instant(denials.last_at if denials else None),
        }
        return Response.json(
            _content(view.grant)
            | {
                "denials": counted,
                "history": [
                    {"at": _instant(step.at), "state": step.state, "by": step.by, "reason": step.reason}
                    for step in view.grant.history
                ],
                "open": view.open,
                "replaced": view.replaced,
                "may": sorted(view.verbs),
                "risks": [{"kind": risk.kind, "text": risk.text} for risk in view.risks],
                "lengths": [length.value for length in view.lengths],
                "policy": {"before": list(view.plan.before), "after": list(view.plan.after)},
            }
        )

    def _decide(self, request: Request) -> Response:
        approver = self._approver(request)
        body = request.json()
        if body.get("decision") in _ALL:
            return self._decide_all(request, body, approver)
        answer = _answer(body, approver)
        result = self._approval.decide(self._ticket(request), answer)
        log_decision(answer.verb, approver, result)
        match result:
            case Decided():
                return Response.json(_content(result.grant))
            case AlreadyDecided() | LostRace():
                code = "lost_race" if isinstance(result, LostRace) else "already_decided"
                return refusal(
                    HTTPStatus.CONFLICT,
                    code,
                    "Somebody else decided first.",
                    by=result.by,
                    at=_instant(result.at),
                    state=result.state,
                )
            case NotAllowed():
                status = HTTPStatus.CONFLICT if result.why is Refusal.NOT_POSSIBLE else HTTPStatus.FORBIDDEN
                return refusal(status, result.why, result.reason)
            case NotFound():
                return refusal(HTTPStatus.NOT_FOUND, "not_found", _NOT_FOUND)
            case _:
                return refusal(HTTPStatus.CONFLICT, "stale", _STALE)

    def _decide_all(self, request: Request, body: Mapping[str, Any], approver: Approver) -> Response:
        """Take back all that the request's principal has been granted, or reject all that it asks for."""
        verb, name = _ALL[body["decision"]]
        reason = _reason(body, {"decision", "reason"})
        decide = self._approval.reject_all if verb is Verb.REJECT else self._approval.revoke_all
        results = decide(self._ticket(request), approver, reason)
        done, left = [], []
        for result in results:
            log_decision(verb, approver, result)
            match result:
                case Decided():
                    done.append(_content(result.grant))
                case NotAllowed():
                    left.append(_left(result.grant, result.why))
                case AlreadyDecided() | LostRace() | Stale():
                    left.append(_left(result.grant, "stale"))
                case NotFound():
                    pass
        return Response.json({name: done, "left": left})

    def _approver(self, request: Request) -> Approver:
        caller = request.caller or ""
        try:
            approver = Approver.by_api(caller)
        except ArnError:
            approver = None
        if approver is None or not may_approve(caller, self._roles):
            raise _RefusedError(403, "not_an_approver", "The caller is in no session of a role that may approve.")
        return approver

    def _ticket(self, request: Request) -> Ticket:
        wanted = request.parameters.get("id", "")
        ticket = self._approval.find(wanted) if len(wanted) <= _LONGEST_ID else None
        if ticket is None:
            raise _RefusedError(404, "not_found", _NOT_FOUND)
        return ticket


def refusal(status: int, code: str, sentence: str, **more: Any) -> Response:
    """An answer that says no: a code for programs, a sentence for people."""
    return Response.json({"error": code, "message": sentence, **more}, status)


def _answered(answer: Callable[[Request], Response], request: Request) -> Response:
    try:
        return answer(request)
    except _RefusedError as refused:
        return refused.response
    except BadRequestError as error:
        return refusal(error.status, "bad_request", str(error))


def _answer(body: Mapping[str, Any], approver: Approver) -> Answer:
    """The decision in a body, which names the version that the person looked at."""
    reason = _reason(body, {"decision", "version", "reason", "length"})
    version = body.get("version")
    if isinstance(version, bool) or not isinstance(version, int):
        raise BadRequestError(400, "version must be the number of the version that the decision is about.")
    try:
        verb = Verb(str(body.get("decision")))
    except ValueError:
        raise BadRequestError(400, f"decision must be one of {', '.join(Verb)}.") from None
    try:
        length = parse_length(str(body.get("length"))) if verb in GRANTING else None
    except ValueError as error:
        raise BadRequestError(400, f"length: {error}.") from None
    return Answer(verb=verb, version=version, approver=approver, reason=reason, length=length)


def _token(end: Due) -> str:
    """Where a page ends, as text that is safe in an address."""
    return base64.urlsafe_b64encode(msgspec.json.encode(end)).decode()


def _behind(token: str) -> Due:
    """Where a page ended. It may be anything: it says where a walk begins, and nothing else."""
    refused = BadRequestError(400, "nextToken is not one that a page of requests has given.")
    try:
        behind = msgspec.json.decode(base64.b64decode(token, altchars=b"-_", validate=True), type=Due)
    except (ValueError, msgspec.DecodeError):
        raise refused from None
    if not (is_key(behind.pk, behind.sk) and behind.due_at.tzinfo and BEGINNING <= behind.due_at <= NEVER):
        raise refused
    return behind


def _reason(body: Mapping[str, Any], fields: set[str]) -> str | None:
    """The reason in a body, which may have these fields and no others."""
    unknown = sorted(set(body) - fields)
    if unknown:
        raise BadRequestError(400, f"The body has unknown fields: {', '.join(unknown)[:200]}.")
    reason = body.get("reason")
    if reason is not None and not isinstance(reason, str):
        raise BadRequestError(400, "reason must be text.")
    return reason


def _left(grant: Grant, error: str) -> dict[str, str]:
    """A grant that could not be taken back now, and why."""
    return {"id": request_id(grant), "state": grant.state, "error": error}


def _content(grant: Grant) -> dict[str, Any]:
    """A request for programs. What the caller of Bedrock wrote is not in it."""
    return {
        "id": request_id(grant),
        "version": grant.version,
        "state": grant.state,
        "principal": grant.principal,
        "account": grant.account,
        "account_name": grant.account_name,
        "region": grant.region,
        "profile": grant.profile,
        "model_id": grant.model_id if grant.resources else None,
        "resources": list(grant.resources),
        "allowed_already": list(grant.allowed),
        "actions": list(grant.actions),
        "diagnosis": grant.diagnosis,
        "reason_code": grant.reason_code,
        "reason": grant.reason,
        "may": sorted(possible(grant)),
        "created_at": _instant(grant.created_at),
        "updated_at": _instant(grant.updated_at),
        "expires_at": _instant(grant.expires_at),
        "decided_by": grant.decided_by,
        "decided_at": _instant(grant.decided_at),
        "decided_via": grant.decided_via,
        "decision_reason": grant.decision_reason,
        "verification": grant.verification,
    }


def _instant(time: datetime | None) -> str | None:
    return time.isoformat().replace("+00:00", "Z") if time else None
