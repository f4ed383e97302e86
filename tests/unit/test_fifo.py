"""A batch from a FIFO queue."""

from typing import Any

from bedrock_remediator.flows.remediation.fifo import in_order


def record(message: str, group: str) -> dict[str, Any]:
    """A message as Lambda hands it over; its body is its id."""
    return {"messageId": message, "attributes": {"MessageGroupId": group}, "body": message}


BATCH = [record("a1", "a"), record("b1", "b"), record("a2", "a"), record("b2", "b")]


def test_all_done_leaves_nothing_to_deliver_again() -> None:
    """Messages are worked on in their order."""
    done: list[str] = []
    assert in_order(BATCH, done.append, lambda: True) == []
    assert done == ["a1", "b1", "a2", "b2"]


def test_what_is_behind_a_failure_of_its_group_waits() -> None:
    """A later change of one principal must not overtake an earlier one; other principals go on."""
    done: list[str] = []

    def work(body: str) -> None:
        if body == "a1":
            raise RuntimeError("throttled")
        done.append(body)

    assert in_order(BATCH, work, lambda: True) == ["a1", "a2"]
    assert done == ["b1", "b2"]


def test_without_time_the_rest_is_delivered_again() -> None:
    """A change is not begun that may not be finished; the first is, so that something always moves."""
    done: list[str] = []
    assert in_order(BATCH, done.append, lambda: False) == ["b1", "a2", "b2"]
    assert done == ["a1"]
