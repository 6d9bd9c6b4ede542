"""Traces inputs: spans around `step`, their contexts into commands and instance.

Rule: what is not sampled goes on as it is; what a span adds is its context in `traceparent`, and in
the instance, for what comes later.
"""

from collections.abc import Callable
from time import time_ns
from typing import Any

from msgspec.structs import replace

from pmstream.app import Names
from pmstream.core import engine
from pmstream.core.answering import about, materialized, text
from pmstream.core.engine import Arrived, Coder, Input, Outcome, Step
from pmstream.core.failure import FailureContext
from pmstream.core.instance import Instance, Wait
from pmstream.core.masking import masked
from pmstream.core.messages import Emitted, Metadata
from pmstream.core.process import Callbacks
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.origin import Origin, origin
from pmstream.runtime.spans import Attribute, Kind, Span, Transaction
from pmstream.runtime.traceparent import carried, next_context
from pmstream.runtime.trail import Trail

Advance = Callable[[Callbacks, Instance | None, Input, int, Coder, int], Step]
"""`engine.step`, or the same traced."""

FAILED = frozenset({Outcome.RETRYING, Outcome.PARKED, Outcome.SKIPPED, Outcome.HALTED})
"""Outcomes of what the author's code could not do."""

# Taken once, because reading an Enum's attribute costs 0.2 µs (Python 3.11).
_IGNORED, _QUEUED, _REPLY = Outcome.IGNORED, Outcome.QUEUED, Wait.REPLY
_CONSUMER, _PRODUCER, _INTERNAL = Kind.CONSUMER, Kind.PRODUCER, Kind.INTERNAL
_SYSTEM, _OPERATION, _TOPIC = Attribute.SYSTEM, Attribute.OPERATION, Attribute.TOPIC
_MESSAGE_ID, _CONVERSATION = Attribute.MESSAGE_ID, Attribute.CONVERSATION
_PROCESS_MANAGER, _PROCESS_UUID = Attribute.PROCESS_MANAGER, Attribute.PROCESS_UUID
_ATTEMPT, _OUTCOME = Attribute.ATTEMPT, Attribute.OUTCOME


class Traced:
    """Makes spans of the inputs of a worker's instances.

    Args:
        trail: of the worker.
        names: topics of the process manager.
        callbacks: of the process manager; spans watch them while a traced input is at hand.
    """

    def __init__(self, trail: Trail, names: Names, callbacks: Callbacks) -> None:
        self._trail, self._names = trail, names
        self._callbacks = replace(
            callbacks,
            handle=self._watched("handle", callbacks.handle),
            apply=self._watched("apply", callbacks.apply),
            handles_blindly=False,
            error=self._asked(callbacks.error),
        )
        self._spans: list[Span] = []
        self._uuid = ""
        self._error: Exception | None = None
        self._text = ""

    def of(self, where: TopicPartition) -> Advance:
        """`engine.step`, traced, for the inputs of one partition."""

        def advance(
            callbacks: Callbacks,
            instance: Instance | None,
            input: Input,
            now: int,
            coder: Coder,
            max_state_bytes: int,
        ) -> Step:
            found = origin(instance, input, self._names, self._trail.allows)
            if found is None:
                return engine.step(callbacks, instance, input, now, coder, max_state_bytes)
            span = self._begin(found)
            goes_on = span.parent is not None
            if isinstance(input, Arrived):
                input = _on(input, span.context, goes_on=goes_on)
            # What raises is told by nobody: the worker ends, and another one tells it.
            step = engine.step(self._callbacks, instance, input, now, coder, max_state_bytes)
            if step.outcome is _IGNORED and not isinstance(input, Arrived):
                return step  # a hint that came to nothing
            self._end(span, step)
            if step.halt is not None:
                self._trail.tell(self._spans, Transaction.DROPPED)
                return step
            step = self._carried(step, instance, span, goes_on=goes_on)
            self._trail.keep(where, self._spans)
            return step

        return advance

    def _begin(self, found: Origin) -> Span:
        parent, links = found.parent, found.links
        if parent is not None and self._trail.links:
            links = tuple(dict.fromkeys((parent, *links)))
            parent = None
        known = found.attributes
        known[_PROCESS_MANAGER] = self._names.process_manager
        span = Span(
            name=found.name,
            kind=_CONSUMER if _TOPIC in known else _INTERNAL,
            context=next_context(parent),
            parent=parent,
            links=links,
            attributes=known,
            is_input=True,
            began=time_ns(),
        )
        self._error, self._spans, self._uuid = None, [span], str(known[_PROCESS_UUID])
        return span

    def _end(self, span: Span, step: Step) -> None:
        error = self._error
        span.attributes[_OUTCOME] = str(step.outcome)
        if error is not None and step.outcome in FAILED:
            span.fail(type(error).__name__, self._text)
        span.ended = time_ns()

    # What goes out

    def _carried(self, step: Step, instance: Instance | None, span: Span, *, goes_on: bool) -> Step:
        """The same, with the contexts of its spans in commands and instance."""
        commands = tuple([self._sent(each, span, goes_on=goes_on) for each in step.commands])
        after = step.instance
        if after is None or after is instance or step.outcome is _QUEUED:
            return replace(step, commands=commands) if commands else step
        after = replace(after, trace=span.context)
        work = after.work
        if commands and work is not None and work.wait is _REPLY:
            # Its reply goes on from where it was sent.
            pending = (commands[-1], *work.pending[1:])
            after = replace(after, work=replace(work, pending=pending))
        return replace(step, commands=commands, instance=after)

    def _sent(self, command: Emitted, span: Span, *, goes_on: bool) -> Emitted:
        """A command with the context of its own span, which ends with the transaction."""
        topic = command.topic
        sent = Span(
            name=f"send {topic}",
            kind=_PRODUCER,
            context=next_context(span.context),
            parent=span.context,
            began=time_ns(),
            attributes={
                _SYSTEM: "kafka",
                _OPERATION: "send",
                _TOPIC: topic,
                _MESSAGE_ID: command.id,
                _CONVERSATION: self._uuid,
            },
        )
        self._spans.append(sent)
        return replace(command, headers=carried(command.headers, sent.context, goes_on=goes_on))

    # The author's code

    def _watched(self, name: str, callback: Callable[[Any, Any, Metadata], object]) -> Any:
        is_handle = name == "handle"

        def watched(state: Any, event: Any, metadata: Metadata) -> object:
            process, began = self._spans[0], time_ns()
            process.attributes[_ATTEMPT] = metadata.attempt
            parent = process.context
            span = Span(name=name, context=next_context(parent), parent=parent, began=began)
            self._spans.append(span)
            try:
                # A generator runs here, not behind the span.
                answer = callback(state, event, metadata)
                return materialized(answer) if is_handle else answer
            except BaseException as error:
                told = masked(text(error), (state, event), self._uuid)
                span.fail(type(error).__name__, told)
                raise
            finally:
                span.ended = time_ns()

        return watched

    def _asked(self, callback: Callable[[Exception, Any, FailureContext], object]) -> Any:
        def asked(error: Exception, failed: Any, context: FailureContext) -> object:
            answer = "raised"
            self._error = error
            self._text = masked(text(error), about(error, failed, context), self._uuid)
            try:
                found = callback(error, failed, context)
                answer = type(found).__name__
                return found
            finally:
                self._spans[0].attributes[Attribute.ANSWER] = answer

        return asked


def _on(arrived: Arrived, context: bytes, *, goes_on: bool) -> Arrived:
    """The event as if the span had sent it: what it leaves behind comes from there."""
    headers = carried(arrived.routed.headers, context, goes_on=goes_on)
    return replace(arrived, routed=replace(arrived.routed, headers=headers))
