"""Approve's parts put together: its routes, each with what answers it. Only what a route needs is loaded for it."""

from collections.abc import Mapping
from datetime import timedelta

from bedrock_remediator.approval_settings import ApproverAuth, ApproveSettings, OidcSettings, SlackApprovalSettings
from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.keys import Keyring, Secrets
from bedrock_remediator.clock import Clock
from bedrock_remediator.flows.approval.api import ApprovalApi, refusal
from bedrock_remediator.flows.approval.approval import Approval
from bedrock_remediator.flows.approval.forms import FORM_LASTS, FORM_SALT, Forms
from bedrock_remediator.flows.approval.pages import ApprovalPages, PageTerms
from bedrock_remediator.flows.approval.wiring import approval
from bedrock_remediator.flows.links.links import Sealer
from bedrock_remediator.flows.links.wiring import keyring, links
from bedrock_remediator.flows.web.html import message_page
from bedrock_remediator.flows.web.http import Request, Response, Route
from bedrock_remediator.flows.web.sign_in import (
    SESSION_LASTS,
    SESSION_SALT,
    SIGN_IN_LASTS,
    SIGN_IN_SALT,
    Membership,
    SignInGate,
)
from bedrock_remediator.flows.web.visitors import Gate, LinkGate
from bedrock_remediator.notices.web.messages import BROKEN, BUSY


def routes(settings: ApproveSettings, clients: Clients, clock: Clock) -> Mapping[str, Route]:
    """Every route that the template has under these settings -> what answers it."""
    use_case = approval(settings, clients, clock)
    keys = keyring(settings.links, clients, clock)
    table: dict[str, Route] = {}
    gate: Gate = LinkGate()
    if settings.oidc:
        signed_in = _sign_in(settings.oidc, keys, clients, clock)
        table["GET /signed-in"] = signed_in.finish
        gate = signed_in
    terms = PageTerms(
        strategy=settings.strategy,
        lapses_after=timedelta(hours=settings.links.lapse_hours),
        by_link=settings.auth is ApproverAuth.LINK,
    )
    reader, forms = links(settings.links, keys, clock), Forms(Sealer(keys, FORM_SALT, FORM_LASTS, clock))
    pages = ApprovalPages(use_case, reader, gate, forms, terms, clock)
    table |= {"GET /request/{token}": pages.show, "POST /request/{token}": pages.decide}
    if settings.approver_roles:
        api = ApprovalApi(use_case, settings.approver_roles)
        table |= {
            "GET /api/requests": api.list,
            "GET /api/requests/{id}": api.show,
            "POST /api/requests/{id}": api.decide,
        }
    if settings.slack:
        table["POST /slack/interactions"] = _slack(settings.slack, use_case, clients, clock)
    return table


def failed(request: Request, *, passing: bool) -> Response:
    """The answer where something went wrong: to people a page, to programs JSON. `passing` if trying again may help."""
    if request.route.startswith(("GET /request", "POST /request", "GET /signed-in")):
        return message_page(BUSY if passing else BROKEN)
    if passing:
        return refusal(503, "busy", "AWS did not answer in time. Try again.")
    return refusal(500, "broken", "Something went wrong here.")


def _sign_in(settings: OidcSettings, keys: Keyring, clients: Clients, clock: Clock) -> SignInGate:
    from bedrock_remediator.aws.identity_provider import Client, IdentityProvider  # noqa: PLC0415 - OpenID Connect only

    secrets, arn = Secrets(lambda: clients.secretsmanager, clock), settings.client_secret_arn
    client = Client(
        issuer=settings.issuer,
        client_id=settings.client_id,
        secret=lambda: secrets.text(arn).strip() if arn else None,
    )
    return SignInGate(
        IdentityProvider(client, clock),
        Sealer(keys, SESSION_SALT, SESSION_LASTS, clock),
        Sealer(keys, SIGN_IN_SALT, SIGN_IN_LASTS, clock),
        Membership(settings.claim, settings.claim_value),
    )


def _slack(settings: SlackApprovalSettings, use_case: Approval, clients: Clients, clock: Clock) -> Route:
    """Slack's route; what it needs is loaded with the first interaction."""
    made: list[Route] = []

    def answer(request: Request) -> Response:
        if not made:
            from bedrock_remediator.flows.slack.wiring import slack_decision  # noqa: PLC0415 - Slack's route only

            made.append(slack_decision(settings, use_case, clients, clock).handle)
        return made[0](request)

    return answer
