"""SQS by the virtual clock."""

import pytest

from sandbox.calls import ApiError
from sandbox.queues import DeadLetter, Queue


class Time:
    """A time that the test sets, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def time() -> Time:
    """The queue's time."""
    return Time()


def queue(time: Time, **properties: object) -> Queue:
    """A queue with these properties."""
    return Queue("Work", "arn:aws:sqs:us-east-1:123456789012:work", properties, time)


def bodies(queue: Queue, count: int = 10) -> list[str]:
    """What is received."""
    return [message.body for message in queue.receive(count)]


def test_a_message_is_out_of_sight_until_its_timeout(time: Time) -> None:
    """A received message comes back when its visibility timeout ends, unless it was deleted."""
    work = queue(time, VisibilityTimeout=60)
    work.send("a")
    work.send("b")
    received = work.receive(10)
    assert bodies(work) == []
    assert work.next_visible() == time.now + 60
    work.delete(received[:1])
    time.now += 60
    assert bodies(work) == ["b"]


def test_a_delayed_message_is_not_yet_there(time: Time) -> None:
    """DelaySeconds keeps a new message back."""
    work = queue(time, DelaySeconds=5)
    work.send("a")
    assert bodies(work) == []
    time.now += 5
    assert bodies(work) == ["a"]


def test_a_message_that_keeps_coming_back_is_set_aside(time: Time) -> None:
    """After maxReceiveCount receives a message goes to the dead-letter queue, with its attributes."""
    aside = Queue("Aside", "arn:aws:sqs:us-east-1:123456789012:aside", {}, time)
    work = queue(time)
    work.redrive_to(aside, 2)
    work.send('{"a": 1}', attributes={"reason": "bad"})
    for _ in range(2):
        assert len(work.receive(1)) == 1
        time.now += 30
    assert work.receive(1) == []
    assert aside.dead_letters() == [DeadLetter(queue="Aside", body={"a": 1}, attributes={"reason": "bad"})]


def test_a_group_waits_for_its_message_in_flight(time: Time) -> None:
    """In a FIFO queue a group's next message waits while one is out of sight; other groups go on."""
    work = queue(time, FifoQueue=True)
    for body, group in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        work.send(body, group=group, deduplication=body)
    first = work.receive(1)
    assert [message.body for message in first] == ["a1"]
    assert bodies(work) == ["b1"]
    work.delete(first)
    assert bodies(work) == ["a2"]


def test_a_duplicate_is_dropped_for_five_minutes(time: Time) -> None:
    """A FIFO queue drops a message with an id that it was sent within five minutes, even if that is gone by now."""
    work = queue(time, FifoQueue=True)
    work.send("a", group="g", deduplication="1")
    work.delete(work.receive(1))
    work.send("b", group="g", deduplication="1")
    assert len(work) == 0
    time.now += 300
    work.send("c", group="g", deduplication="1")
    assert bodies(work) == ["c"]


@pytest.mark.parametrize(("by_group", "kept"), [("messageGroup", 2), ("queue", 1)])
def test_where_a_duplicate_is_looked_for(time: Time, by_group: str, kept: int) -> None:
    """DeduplicationScope says whether two groups may use the same id."""
    work = queue(time, FifoQueue=True, DeduplicationScope=by_group)
    work.send("a", group="g", deduplication="1")
    work.send("b", group="h", deduplication="1")
    assert len(work) == kept


def test_the_content_may_stand_for_the_id(time: Time) -> None:
    """With ContentBasedDeduplication the same body is the same message."""
    work = queue(time, FifoQueue=True, ContentBasedDeduplication=True)
    work.send("a", group="g")
    work.send("a", group="g")
    assert len(work) == 1


@pytest.mark.parametrize("given", [{}, {"group": "g"}])
def test_a_fifo_queue_wants_a_group_and_an_id(time: Time, given: dict[str, str]) -> None:
    """A message without its group or its deduplication id is refused."""
    with pytest.raises(ApiError):
        queue(time, FifoQueue=True).send("a", **given)  # type: ignore[arg-type]  # the names are the parameters'


def test_a_message_may_be_too_large(time: Time) -> None:
    """A message over 1 MiB is refused."""
    with pytest.raises(ApiError):
        queue(time).send("x" * 1_048_577)


def test_a_dead_letter_may_be_nested_too_deeply_to_be_read(time: Time) -> None:
    """What no reader of JSON takes is shown as the text that it is."""
    denials = queue(time)
    body = "[" * 100_000
    denials.send(body)
    assert [letter.body for letter in denials.dead_letters()] == [body]
