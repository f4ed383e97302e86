"""Questions to the policies of a stack: may this role do that, and who else is let in."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from sandbox.authorization import identity_policies, resource_policies
from sandbox.evaluator import Ask, Decision, Source, evaluate, listed, statements
from sandbox.template import Stack

FOREIGN: Final = "444455556666"
"""An account that the stack knows nothing of."""


class Powers:
    """What a stack's roles may do, by their own policies and the resources', read by the sandbox's evaluator."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.roles = identity_policies(stack)
        self.resources = resource_policies(stack)

    def may(self, role: str, action: str, resource: str, **context: str | tuple[str, ...]) -> bool:
        """Whether a role of the stack, by its logical id, may do something.

        A condition key is given as an argument: `_` stands for `:`, the key is in lower case.
        """
        arn = self._stack.arn(role)
        return self.lets_in(arn, action, resource, sources=self.roles[arn], **context)

    def lets_in(
        self,
        principal: str,
        action: str,
        resource: str,
        *,
        sources: Iterable[Source] = (),
        **context: str | tuple[str, ...],
    ) -> bool:
        """Whether a principal may do something, with these policies of its own beside the resource's."""
        ask = _asked(principal, action, resource, context)
        own, stated = evaluate(sources, ask), self.resources.get(resource, ())
        theirs = evaluate(stated, ask)
        if Decision.EXPLICIT_DENY in {own.decision, theirs.decision}:
            return False
        by_name = evaluate((_naming(principal, source) for source in stated), ask).allowed
        if action.startswith(("kms:", "sts:")):
            # The policy of a key or role must let its caller in, by name, or by leaving it to the account's IAM.
            return by_name or (theirs.allowed and own.allowed)
        return own.allowed or by_name

    def denies(self, principal: str, action: str, resource: str, **context: str | tuple[str, ...]) -> bool:
        """Whether a resource's own policy denies something to whoever asks, whatever else would allow it."""
        found = evaluate(self.resources.get(resource, ()), _asked(principal, action, resource, context))
        return found.decision is Decision.EXPLICIT_DENY


def _asked(principal: str, action: str, resource: str, context: Mapping[str, str | tuple[str, ...]]) -> Ask:
    """The request, with the condition keys that AWS fills in."""
    known = {
        "aws:principalarn": (principal,),
        "aws:principalaccount": (principal.split(":")[4],) if principal.count(":") > 4 else (),
        "aws:principalisawsservice": ("true" if principal.endswith(".amazonaws.com") else "false",),
        "aws:securetransport": ("true",),
        **{name.replace("_", ":", 1): (value,) if isinstance(value, str) else value for name, value in context.items()},
    }
    return Ask(
        action=action,
        resource=resource,
        context={name: values for name, values in known.items() if values},
        principal=(principal,),
    )


def _naming(principal: str, source: Source) -> Source:
    """The policy with those statements alone that do not merely leave a matter to the account's IAM."""
    kept = [
        statement
        for statement in statements(source.document)
        if not isinstance(statement.get("Principal"), dict)
        or any(name in ("*", principal) for names in statement["Principal"].values() for name in listed(names))
    ]
    return replace(source, document={**source.document, "Statement": kept})
