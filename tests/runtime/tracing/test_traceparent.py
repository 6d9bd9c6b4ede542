"""The W3C's trace context: what counts as one, and what goes on from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmstream.runtime.log import Headers
from pmstream.runtime.traceparent import carried, dump_context, load_context, next_context, sampled

TRACE, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
GOOD = b"00-%b-%b-01" % (TRACE, SPAN)
OTHER = b"00-%b-%b-01" % (TRACE, b"1" * 16)


def of(value: bytes | None) -> Headers:
    return (("traceparent", value),)


@pytest.mark.parametrize("flags", [b"01", b"03", b"ff"])
def test_the_sampled_flag_decides(flags: bytes) -> None:
    assert sampled(of(GOOD[:-2] + flags)) == GOOD[:-2] + flags
    assert sampled(of(GOOD[:-2] + b"00")) is None
    assert sampled(of(GOOD[:-2] + b"02")) is None


def test_a_later_version_may_have_more_behind_it() -> None:
    later = b"cc" + GOOD[2:]

    assert sampled(of(later)) == later
    assert sampled(of(later + b"-what-the-future-brings")) == later
    assert sampled(of(later + b".")) is None
    assert sampled(of(GOOD + b"-more")) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"00",
        GOOD[:-1],
        GOOD + b"\n",
        GOOD.upper(),
        b"ff" + GOOD[2:],
        b"0x" + GOOD[2:],
        b"00-%b-%b-01" % (b"0" * 32, SPAN),
        b"00-%b-%b-01" % (TRACE, b"0" * 16),
        GOOD.replace(b"-", b"_"),
        GOOD[:-2] + b"0g",
        b" " + GOOD,
        b"\xff" * 55,
        b"0" * 100_000,
    ],
)
def test_what_is_not_written_so_is_as_if_it_were_not_there(value: bytes | None) -> None:
    assert sampled(of(value)) is None


def test_two_contexts_are_none() -> None:
    assert sampled((*of(GOOD), *of(OTHER))) is None


@given(st.lists(st.tuples(st.sampled_from(["traceparent", "x"]), st.none() | st.binary())))
def test_no_bytes_of_a_stranger_do_harm(headers: list[tuple[str, bytes | None]]) -> None:
    assert sampled(tuple(headers)) is None


@given(st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1))
def test_a_context_is_read_back(trace: int, span: int) -> None:
    context = dump_context(trace, span)

    assert sampled(of(context)) == context
    assert load_context(context) == (trace, span)


def test_a_new_span_goes_on_in_the_trace_of_its_parent() -> None:
    child, other = next_context(GOOD), next_context(GOOD)

    assert sampled(of(child)) == child
    assert child[:36] == GOOD[:36]
    assert len({child, other, GOOD}) == 3
    assert next_context(b"cc" + GOOD[2:] + b"-more")[:36] == GOOD[:36]
    begun = next_context(None)
    assert sampled(of(begun)) == begun
    assert begun[3:35] != TRACE


def test_a_context_takes_the_place_of_the_one_before_it() -> None:
    headers: Headers = (("a", b"1"), ("traceparent", GOOD), ("tracestate", b"v=1"), ("b", b""))

    assert carried(headers, OTHER, goes_on=True) == (
        ("a", b"1"),
        ("traceparent", OTHER),
        ("tracestate", b"v=1"),
        ("b", b""),
    )


def test_a_new_trace_does_not_inherit_the_state_of_another() -> None:
    headers: Headers = (("tracestate", b"v=1"), ("traceparent", GOOD), ("traceparent", GOOD))

    assert carried(headers, OTHER, goes_on=False) == (("traceparent", OTHER),)
    assert carried((), OTHER, goes_on=False) == (("traceparent", OTHER),)
