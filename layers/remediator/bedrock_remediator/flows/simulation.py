"""Asking IAM's policy simulator whether a grant helps: before it is written, and after it until IAM has settled."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Final, Protocol

from botocore.exceptions import ClientError
from msgspec.structs import replace

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam import Identity, Simulated, SimulationRefusedError
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.core.iam.evaluation import Evaluator, Finding, Request
from bedrock_remediator.core.layers import Layer
from bedrock_remediator.core.policy import PolicyTooLargeError, compile_policies, entitlement
from bedrock_remediator.core.request_context import RequestContext, keys_of_resource, requested_region
from bedrock_remediator.core.simulation import (
    Helpfulness,
    Invocation,
    Judgement,
    OwnEvaluation,
    Question,
    comparison,
    judge,
    questions,
    stopper,
)

logger = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 8.0


class Simulator(Protocol):
    """IAM's policy simulator."""

    def simulate(
        self,
        principal_arn: str,
        actions: Sequence[str],
        resources: Sequence[str],
        context: Mapping[str, str],
        policies: Sequence[str] = (),
    ) -> list[Simulated]:
        """What the principal's policies, and these beside them, would do; see `IamReader.simulate`."""
        ...


class Identities(Simulator, Protocol):
    """The simulator, and the policies that it weighs."""

    def identity(self, principal: Principal) -> Identity | None:
        """The principal with its policies, None if it does not exist."""
        ...


def forecast(  # noqa: PLR0913 - what is asked, and by what it is judged
    simulator: Simulator,
    call: Invocation,
    context: RequestContext,
    own: OwnEvaluation,
    *,
    documents: Sequence[str] = (),
    again: Iterable[None] = (None,),
) -> Judgement:
    """Whether a grant helps. Asks as little as decides it: what proves something ends the asking.

    Args:
        simulator: IAM's.
        call: What the grant makes possible.
        context: What is known of the call.
        own: Our own evaluation of the principal's policies and boundary.
        documents: The grant's policy documents where they are not written yet.
        again: A round of questions for each item, until the answers no longer change; see `rounds`.

    Raises:
        RetryableError: Passing trouble, where the policies are not written yet.
    """
    inquiry = _Inquiry(simulator, call, context, documents)
    for _ in again:
        try:
            judgement = inquiry.judgement(own)
        except RetryableError:
            if documents:
                raise
            logger.info("the simulator is busy", exc_info=True)
            continue
        if not judgement.passing:
            return judgement
    return judge(call, inquiry.answers.values(), own)


def rounds(clock: Clock, wait: timedelta, deadline: datetime) -> Iterator[None]:
    """When to ask after a write: IAM takes seconds to settle (docs/aws-facts.md §4.4).

    Waits before each round, ever longer, until the time is up; the last round begins when it is.

    Args:
        clock: The time.
        wait: How long to keep asking; none = ask once, at once.
        deadline: When to stop whatever is left of `wait`.
    """
    if not wait:
        yield
        return
    end = min(clock.now() + wait, deadline)
    pause = _FIRST_PAUSE
    while (left := (end - clock.now()).total_seconds()) > 0:
        clock.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)
        yield


class GrantSimulation:
    """The same question about a row of the ledger.

    The principal's policies are read only if an answer calls for our own evaluation of them.
    """

    def __init__(self, iam: Identities, extra_actions: Sequence[str], clock: Clock) -> None:
        self._iam = iam
        self._extra_actions = tuple(extra_actions)
        self._clock = clock

    def before(self, grant: Grant, tags: Mapping[str, str]) -> Judgement:
        """Whether the grant would help, asked before it is written. `tags` are the principal's.

        Raises:
            RetryableError: Passing trouble.
        """
        call = _invocation(grant)
        try:
            documents = compile_policies([entitlement(grant)], self._extra_actions)
        except PolicyTooLargeError:
            # It may fit all the same where it is to be written, or fails there with the reason.
            return judge(call, (), lambda _action, _resource: None)
        context = self._context(grant, tags)
        return forecast(self._iam, call, context, self._own(grant, context), documents=documents)

    def after(
        self, grant: Grant, tags: Mapping[str, str], *, foreseen: bool, wait: timedelta, deadline: datetime
    ) -> Judgement:
        """Whether the grant, which has just been written, helps.

        Args:
            grant: The grant.
            tags: The principal's.
            foreseen: Whether `before` has just said that it would: then all that is open is whether IAM has settled,
                which one question tells.
            wait: As for `rounds`.
            deadline: As for `rounds`.
        """
        call, context = _invocation(grant), self._context(grant, tags)
        if foreseen:
            call = replace(call, resources=questions(call)[0].resources)
        again = rounds(self._clock, wait, deadline)
        return forecast(self._iam, call, context, self._own(grant, context), again=again)

    def _context(self, grant: Grant, tags: Mapping[str, str]) -> RequestContext:
        seen = grant.sighting
        return RequestContext(
            principal=Principal.parse(grant.pk),
            principal_id=grant.principal_id,
            tags=tags,
            now=self._clock.now(),
            session=seen.session,
            source_ip=seen.source_ip,
            vpc_endpoint=seen.vpc_endpoint,
        )

    def _own(self, grant: Grant, context: RequestContext) -> OwnEvaluation:
        @cache
        def policies() -> Evaluator | None:
            try:
                identity = self._iam.identity(context.principal)
            except (ClientError, RetryableError):
                logger.warning("the principal's policies cannot be read", exc_info=True)
                return None
            return Evaluator(identity.holdings) if identity else None

        def own(action: str, resource: str) -> Finding | None:
            known = context.keys | keys_of_resource(grant.profile, resource)
            evaluator = policies()
            return evaluator.evaluate(Request(action, resource, known)) if evaluator else None

        return own


def _invocation(grant: Grant) -> Invocation:
    """What a row's grant makes possible. Only what decides about it is asked: its actions are settled."""
    seen = grant.sighting
    call = Invocation(
        profile=grant.profile,
        resources=grant.resources,
        actions=grant.actions,
        action=seen.action,
        unallowed=seen.resource,
    )
    return replace(call, actions=call.deciding)


class _Inquiry:
    """The questions about one call, and what was answered. What the simulator allowed is not asked again."""

    def __init__(
        self, simulator: Simulator, call: Invocation, context: RequestContext, documents: Sequence[str]
    ) -> None:
        self._simulator = simulator
        self._call = call
        self._context = context
        self._documents = tuple(documents)
        self._refused: set[tuple[str, ...]] = set()
        self.answers: dict[tuple[str, str], Simulated] = {}

    def judgement(self, own: OwnEvaluation) -> Judgement:
        """Ask what is open, and judge."""
        for question in questions(self._call):
            self._ask(question)
            judgement = self._judge(own)
            if judgement.helpfulness is Helpfulness.CERTAINLY_NOT or self._learns_nothing_more(question):
                return judgement
        return self._judge(own)

    def _judge(self, own: OwnEvaluation) -> Judgement:
        return judge(self._call, self.answers.values(), own, unanswerable=bool(self._refused))

    def _ask(self, question: Question) -> None:
        """Ask a question, and where the organization refuses, find out what of it."""
        pairs = [(action, resource) for action in self._call.actions for resource in question.resources]
        if all(pair in self.answers and self.answers[pair].decision == "allowed" for pair in pairs):
            return
        given = self._simulate(question.region, self._call.actions, question.resources)
        stopped = [answer for answer in given if stopper(answer) is Layer.SCP]
        if stopped and self._call.denied:
            self._tell_apart(self._call.denied, question, stopped)
            if found := comparison(self._call, self.answers):
                self._compare(*found)

    def _compare(self, actions: Sequence[str], model: str) -> None:
        """Ask what the organization makes of another model, with a document that allows it."""
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": model}
        allowed = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._simulate(requested_region(model), actions, [model], allowed)

    def _tell_apart(self, denied: tuple[str, str], question: Question, stopped: Sequence[Simulated]) -> None:
        """Ask ARN by ARN: what the organization says of one question holds for all of its ARNs together.

        The pair that AWS's message was about comes first, since it tells whether the others are worth anything. It may
        be an ARN that the grant is not about, where the client called the model by another name.
        """
        action, resource = denied
        several = len(question.resources) > 1
        known = self.answers.get(denied)
        if known is None or (several and resource in question.resources and stopper(known) is Layer.SCP):
            self._simulate(requested_region(resource), [action], [resource])
            known = self.answers.get(denied)
        if known is None or stopper(known) is Layer.SCP or not several:
            return
        actions: dict[str, list[str]] = {}
        for answer in stopped:
            if (answer.action, answer.resource) != denied:
                actions.setdefault(answer.resource, []).append(answer.action)
        for each, asked in actions.items():
            self._simulate(question.region, asked, [each])

    def _learns_nothing_more(self, question: Question) -> bool:
        """Whether the other regions need not be asked.

        Not where an SCP is said to stop what AWS's message says that none did, nor while IAM has not settled.
        """
        denied = self.answers.get(self._call.denied) if self._call.denied else None
        if denied is not None and stopper(denied) is Layer.SCP:
            return True
        pairs = ((action, resource) for action in self._call.deciding for resource in question.resources)
        given = [self.answers[pair] for pair in pairs if pair in self.answers]
        return not self._documents and any(one.decision != "allowed" and stopper(one) is None for one in given)

    def _simulate(self, region: str, actions: Sequence[str], resources: Sequence[str], *beside: str) -> list[Simulated]:
        """The simulator's answers; none if it never has any to such a question, which is then not asked again."""
        if (region, *actions, *resources) in self._refused:
            return []
        context = self._context.entries(self._call.profile, region)
        try:
            documents = (*self._documents, *beside)
            given = self._simulator.simulate(self._context.principal.arn, actions, resources, context, documents)
        except (SimulationRefusedError, ClientError) as error:
            logger.warning("the simulator does not answer", extra={"region": region, "error": str(error)})
            self._refused.add((region, *actions, *resources))
            return []
        self.answers.update({(answer.action, answer.resource): answer for answer in given})
        return given
