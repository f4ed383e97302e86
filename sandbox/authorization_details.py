"""IAM's Access Troubleshooter: what was recorded of refused requests, as the world has it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.calls import ApiError, Call
from sandbox.world import AuthorizationDetails


class AccessTroubleshooter:
    """An account's answers. An id is known in the region of its request alone."""

    def __init__(self, details: Sequence[AuthorizationDetails]) -> None:
        self._details = {(each.region, each.id): each for each in details}
        self._asked: Counter[tuple[str, str]] = Counter()
        self.answers: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "GetRequestAuthorizationDetails": self._get_details,
        }

    def _get_details(self, call: Call) -> Mapping[str, Any]:
        key = (call.region, call.parameters["authorizationId"])
        found = self._details.get(key)
        self._asked[key] += 1
        if found is None or self._asked[key] <= found.not_found:
            raise ApiError("ResourceNotFoundException", "No authorization details were found.", 404)
        start = int(call.parameters.get("nextToken", "0"))
        end = start + found.page
        evaluations = [
            {name: value for name, value in each.items() if name != "checks" or not found.foreign}
            for each in found.evaluations[start:end]
        ]
        answer = {"requestContext": {}, "evaluations": evaluations, "policies": []}
        return answer | ({"nextToken": str(end)} if end < len(found.evaluations) else {})
