"""Compares the standing grants of one principal with what AWS shows, and says what to do about each."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec.structs import replace

from bedrock_remediator.clock import Clock
from bedrock_remediator.core.accounts import GrantablePrincipals
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.drift import Found, Obstacle, Powers, Remedy, absent, remedy
from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.core.profile import Profile
from bedrock_remediator.flows.placement.contract import Inspection, Owner, Placement
from bedrock_remediator.settings import Mode, PolicySettings, Strategy


class Principals(Protocol):
    """What is asked of IAM."""

    def principal(self, principal: Principal) -> tuple[Principal, str] | None:
        """The principal with its true path, and its id; None if there is none."""
        ...


class Profiles(Protocol):
    """What is asked of Bedrock."""

    def profile(self, account: str, region: str, identifier: str) -> Profile | None:
        """The profile, None if it does not exist there."""
        ...


class Placements(Protocol):
    """The strategies."""

    def strategy(self, grant: Grant) -> str:
        """The name of the strategy that a grant is written with."""
        ...

    def placement(self, grant: Grant) -> Placement:
        """What writes it, and can say whether it is still there."""
        ...


class Comparison:
    """Looks, and changes nothing."""

    def __init__(
        self,
        principals: Principals,
        profiles: Profiles,
        placements: Placements,
        settings: PolicySettings,
        clock: Clock,
    ) -> None:
        self._principals = principals
        self._profiles = profiles
        self._placements = placements
        self._grantable = GrantablePrincipals(settings.grantable_principals)
        self._observing = settings.mode is Mode.OBSERVE
        self._paused = settings.paused
        self._clock = clock

    def remedies(self, pk: str, rows: Sequence[Grant]) -> Iterator[tuple[Grant, Remedy]]:
        """What to do about each active grant among a principal's rows.

        Raises:
            ArnError: It is no role or user.
            NotEnrolledError: The service has no way into its account.
            PlacementError: AWS refuses a look at its policies.
            RetryableError: AWS does not answer at the moment.
        """
        principal = Principal.parse(pk)
        found = self._principals.principal(principal)
        active = [row for row in rows if row.state is State.ACTIVE]
        owner = Owner(*found) if found else Owner(principal, None)
        here = [row for row in active if owner.id is not None and row.principal_id == owner.id]
        for row in active:
            if row not in here:
                yield row, absent(row, owner.id)
        states = {row.sk: row.state for row in rows}
        powers = Powers(observing=self._observing, paused=self._paused, grantable=self._grantable.covers(pk))
        for row, seen in self._inspected(owner, here):
            facts = replace(seen, needed=self._needed(row), successor=states.get(row.kept_for or ""))
            yield row, remedy(row, facts, powers, self._clock.now())

    def _inspected(self, owner: Owner, rows: Sequence[Grant]) -> Iterator[tuple[Grant, Found]]:
        """What IAM shows of each grant; not yet what it needs."""
        for strategy in sorted({self._placements.strategy(row) for row in rows}):
            group = [row for row in rows if self._placements.strategy(row) == strategy]
            inspection = self._placements.placement(group[0]).inspect(owner, group)
            spokesmen = _spokesmen(strategy, group, inspection)
            for row in group:
                yield row, _found(row, inspection, speaks=row in spokesmen)

    def _needed(self, row: Grant) -> tuple[str, ...] | None:
        """The ARNs that a call needs, as AWS says now; None where the profile is gone."""
        if row.profile is None or row.kept:
            return row.resources
        profile = self._profiles.profile(row.account, row.region, row.profile)
        return profile.resources if profile else None


def _spokesmen(strategy: str, group: Sequence[Grant], inspection: Inspection) -> Sequence[Grant]:
    """The grants to be put right. Where policies are written as a whole, one of them brings all others along."""
    lacking = [row for row in group if row.sk in inspection.lacking and not row.kept]
    if strategy == Strategy.IN_PLACE:
        return lacking
    return (lacking or [row for row in group if not row.kept])[:1]


def _found(row: Grant, inspection: Inspection, *, speaks: bool) -> Found:
    lacking = row.sk in inspection.lacking
    if not speaks:
        return Found(needed=None, lacking=lacking and row.kept)
    obstacle = inspection.obstacle
    return Found(
        needed=None,
        lacking=lacking,
        excessive=inspection.excessive,
        obstacle=Obstacle(obstacle.code, obstacle.reason) if obstacle else None,
    )
