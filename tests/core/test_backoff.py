"""failure.backoff: doubling, capped, spread by the seed alone."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pmstream.core.failure import FailureContext, Stage, backoff
from pmstream.core.messages import metadata_of
from tests.core.kit import Happened, Seen, routed


def context(attempts: int, uuid: str = "p-1") -> FailureContext:
    return FailureContext(
        context={},
        state=Seen(),
        last_event=None,
        metadata=metadata_of(routed(Happened("it"), uuid=uuid), "scripted"),
        stage=Stage.HANDLE,
        attempts=attempts,
    )


spans = st.timedeltas(min_value=timedelta(milliseconds=1), max_value=timedelta(days=3_650))


@given(st.integers(min_value=0, max_value=10_000), spans, spans, st.text())
def test_it_stays_between_three_quarters_and_the_whole(
    attempts: int, base: timedelta, cap: timedelta, seed: str
) -> None:
    whole = min(base.total_seconds() * 2.0 ** min(max(attempts - 1, 0), 40), cap.total_seconds())

    delay = backoff(context(attempts), base, cap, seed).total_seconds()

    assert whole * 0.75 - 2e-6 <= delay <= whole + 2e-6
    assert delay == backoff(context(attempts), base, cap, seed).total_seconds()


def test_by_default_it_begins_at_200_ms_and_ends_at_a_minute() -> None:
    first, last = backoff(context(1)), backoff(context(50))

    assert timedelta(milliseconds=150) <= first <= timedelta(milliseconds=200)
    assert timedelta(seconds=45) <= last <= timedelta(minutes=1)


def test_it_is_spread_over_instances_and_attempts() -> None:
    over_instances = {backoff(context(9, f"p-{number}")) for number in range(100)}
    over_attempts = {backoff(context(attempts)) for attempts in range(20, 40)}

    assert len(over_instances) > 90
    assert len(over_attempts) > 15


def test_one_seed_gives_instances_the_same_delay() -> None:
    assert backoff(context(3, "a"), jitter_seed="s") == backoff(context(3, "b"), jitter_seed="s")
