"""Asking IAM's policy simulator: once before a grant is written, and after it until IAM has settled."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from botocore.exceptions import ClientError

from bedrock_remediator.aws.errors import RetryableError
from bedrock_remediator.aws.iam import Simulated, SimulationRefusedError
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.entitlement import entitlement
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.core.policy import PolicyTooLargeError, compile_policies
from bedrock_remediator.core.verification import (
    Helpfulness,
    Judgement,
    Question,
    holds_for_each_region,
    judge,
    questions,
)

logger = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 8.0


class Simulator(Protocol):
    """What is asked of IAM."""

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


Ask = Callable[[Question], list[Simulated] | None]
"""Asks the simulator; None if it will never have an answer."""


def answered(question: Question, ask: Ask) -> Iterator[tuple[Question, list[Simulated] | None]]:
    """Ask a question, and region by region where the answer for several at once says too little; see `questions`."""
    given = ask(question)
    if question.region is not None or (given is not None and holds_for_each_region(given)):
        yield question, given
        return
    for part in question.by_region():
        yield part, ask(part)


class Simulation:
    """Simulates what a grant does for its principal."""

    def __init__(self, simulator: Simulator, extra_actions: Sequence[str], clock: Clock) -> None:
        self._simulator = simulator
        self._extra_actions = tuple(extra_actions)
        self._clock = clock

    def forecast(self, grant: Grant) -> Judgement:
        """Whether the grant would help, asked before it is written.

        Raises:
            RetryableError: Passing trouble.
        """
        try:
            documents = compile_policies([entitlement(grant)], self._extra_actions)
        except PolicyTooLargeError:
            # It may fit all the same where it is to be written, or fails there with the reason.
            return judge(())
        answers: list[Simulated] = []
        unanswered = 0
        for question in questions(grant.profile, grant.resources):
            for part, given in answered(question, lambda asked: self._ask(grant, asked, documents)):
                answers += given or ()
                unanswered += _unanswered(grant, part, given)
        return judge(answers, unanswered=unanswered)

    def outcome(self, grant: Grant, *, wait: timedelta, deadline: datetime) -> Judgement:
        """Whether the grant, which has just been written, helps: asked until IAM allows all of it or time is up.

        IAM takes seconds to settle (docs/aws-facts.md §4), so an implicit deny means nothing until then.

        Args:
            grant: The grant.
            wait: How long to keep asking; none = ask once.
            deadline: When to stop whatever is left of `wait`.
        """
        end = min(self._clock.now() + wait, deadline)
        outstanding = questions(grant.profile, grant.resources)
        verdict = judge(())
        unanswerable: Judgement | None = None
        for _ in self._rounds(end) if wait else (None,):
            asking = list(outstanding)
            for question in asking:
                try:
                    given = self._ask(grant, question, ())
                except RetryableError:
                    logger.info("the simulator is busy", exc_info=True)
                    continue
                if question.region is None and (given is None or not holds_for_each_region(given)):
                    # From now on region by region, in this round already: the list that is walked grows.
                    outstanding.remove(question)
                    outstanding += question.by_region()
                    asking += question.by_region()
                    continue
                verdict = judge(given or (), unanswered=_unanswered(grant, question, given))
                if verdict.helpfulness is Helpfulness.CERTAINLY_NOT:
                    return verdict
                if given is None:
                    unanswerable = verdict
                if given is None or verdict.helpfulness is Helpfulness.HELPS:
                    outstanding.remove(question)
            if not outstanding:
                return unanswerable or verdict
        return unanswerable or _unsettled(verdict)

    def _rounds(self, end: datetime) -> Iterator[None]:
        """Wait, and again longer, until the time is up; the last round begins when it is."""
        pause = _FIRST_PAUSE
        while (left := (end - self._clock.now()).total_seconds()) > 0:
            self._clock.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)
            yield

    def _ask(self, grant: Grant, question: Question, documents: Sequence[str]) -> list[Simulated] | None:
        """The simulator's answers, None if it will never have any."""
        try:
            return self._simulator.simulate(grant.pk, grant.actions, question.resources, question.context, documents)
        except (SimulationRefusedError, ClientError) as error:
            logger.warning("the simulator does not answer", extra={"region": question.region, "error": str(error)})
            return None


def _unanswered(grant: Grant, question: Question, given: Sequence[Simulated] | None) -> int:
    return max(len(grant.actions) * len(question.resources) - len(given or ()), 0)


def _unsettled(verdict: Judgement) -> Judgement:
    """The last doubt; where the last answer was a good one, another question was not answered."""
    return verdict if verdict.helpfulness is Helpfulness.INCONCLUSIVE else judge(())
