"""What rules are held against, put together: by triage, by remediate and upkeep once more, and by the command."""

from collections.abc import Mapping
from typing import Protocol

from bedrock_remediator.core.accounts import Enrolment
from bedrock_remediator.core.allowlist.rules import Origin, Subject, subject
from bedrock_remediator.core.profile import Profile, ProfileType


class Profiles(Protocol):
    """What is asked of Bedrock."""

    def profiles(
        self, account: str, region: str, *, only: ProfileType | None = None, fresh: bool = False
    ) -> tuple[Profile, ...]:
        """Every profile of the region, or only those of a type."""
        ...


class Subjects:
    """Puts them together. Bedrock is asked where an application profile was called, and only there."""

    def __init__(self, profiles: Profiles, enrolment: Enrolment) -> None:
        self._profiles = profiles
        self._enrolment = enrolment

    def of(  # noqa: PLR0913 - what AWS said, from four services
        self,
        *,
        principal: str,
        tags: Mapping[str, str],
        account: str,
        region: str,
        origin: Origin,
        target: Profile | str | None,
        fresh: bool = False,
    ) -> Subject:
        """What rules are held against; see `core/allowlist/rules.py`. `fresh` asks AWS whatever is remembered.

        Raises:
            botocore.exceptions.ClientError: AWS refused the call.
            RetryableError: AWS does not answer at the moment.
        """
        application = isinstance(target, Profile) and target.type == "APPLICATION"
        listed = self._profiles.profiles(account, region, only="SYSTEM_DEFINED", fresh=fresh) if application else ()
        return subject(
            principal=principal,
            tags=tags,
            account=account,
            region=region,
            origin=origin,
            enrolment=self._enrolment,
            target=target,
            system_defined=listed,
        )
