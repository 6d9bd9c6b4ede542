"""Traces inputs: spans around `step`, their contexts into commands and instance.

Rule: what is not sampled goes on as it is; what a span adds is its context in `traceparent`, and in
the instance, for what comes later.
"""

from collections.abc import Callable
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
from pmstream.runtime.spans import Attribute, Beginning, Kind, Span
from pmstream.runtime.traceparent import carried
from pmstream.runtime.trail import Trail

Advance = Callable[[Callbacks, Instance | None, Input, int, Coder, int], Step]
"""`engine.step`, or the same traced."""

FAILED = frozenset({Outcome.RETRYING, Outcome.PARKED, Outcome.SKIPPED, Outcome.HALTED})
"""Outcomes of what the author's code could not do."""


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
        self._where, self._uuid = TopicPartition("", 0), ""
        self._span: Span
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
            found = origin(instance, input, self._names)
            if found is None or not self._trail.allows():
                return engine.step(callbacks, instance, input, now, coder, max_state_bytes)
            mark = self._trail.mark(where)
            span, goes_on = self._begin(found, where)
            if isinstance(input, Arrived):
                input = _on(input, span.context, goes_on=goes_on)
            try:
                step = engine.step(self._callbacks, instance, input, now, coder, max_state_bytes)
            except BaseException:
                self._trail.forget(where, mark)
                raise
            if step.outcome is Outcome.IGNORED and not isinstance(input, Arrived):
                self._trail.forget(where, mark)  # a hint that came to nothing
                return step
            self._end(step)
            if step.halt is not None:
                self._trail.drop(where, mark)
                return step
            return self._carried(step, instance, span, goes_on=goes_on)

        return advance

    def _begin(self, found: Origin, where: TopicPartition) -> tuple[Span, bool]:
        parent, links = found.parent, found.links
        if parent is not None and self._trail.links:
            links = tuple(dict.fromkeys((parent, *links)))
            parent = None
        known = {**found.attributes, Attribute.PROCESS_MANAGER: self._names.process_manager}
        how = Beginning(
            name=found.name,
            kind=Kind.CONSUMER if Attribute.TOPIC in known else Kind.INTERNAL,
            parent=parent,
            links=links,
            attributes=known,
        )
        self._where, self._error = where, None
        self._uuid = str(known[Attribute.PROCESS_UUID])
        self._span = self._trail.begin(where, how, is_input=True)
        return self._span, parent is not None

    def _end(self, step: Step) -> None:
        span, error = self._span, self._error
        span.set(Attribute.OUTCOME, str(step.outcome))
        if error is not None and step.outcome in FAILED:
            span.fail(type(error).__name__, self._text)
        span.end()

    # What goes out

    def _carried(self, step: Step, instance: Instance | None, span: Span, *, goes_on: bool) -> Step:
        """The same, with the contexts of its spans in commands and instance."""
        commands = tuple([self._sent(each, span, goes_on=goes_on) for each in step.commands])
        after = step.instance
        if after is None or after is instance or step.outcome is Outcome.QUEUED:
            return replace(step, commands=commands) if commands else step
        after = replace(after, trace=span.context)
        work = after.work
        if commands and work is not None and work.wait is Wait.REPLY:
            # Its reply goes on from where it was sent.
            pending = (commands[-1], *work.pending[1:])
            after = replace(after, work=replace(work, pending=pending))
        return replace(step, commands=commands, instance=after)

    def _sent(self, command: Emitted, span: Span, *, goes_on: bool) -> Emitted:
        """A command with the context of its own span, which ends with the transaction."""
        how = Beginning(
            name=f"send {command.topic}",
            kind=Kind.PRODUCER,
            parent=span.context,
            attributes={
                Attribute.SYSTEM: "kafka",
                Attribute.OPERATION: "send",
                Attribute.TOPIC: command.topic,
                Attribute.MESSAGE_ID: command.id,
                Attribute.CONVERSATION: self._uuid,
            },
        )
        sent = self._trail.begin(self._where, how)
        return replace(command, headers=carried(command.headers, sent.context, goes_on=goes_on))

    # The author's code

    def _watched(self, name: str, callback: Callable[[Any, Any, Metadata], object]) -> Any:
        def watched(state: Any, event: Any, metadata: Metadata) -> object:
            self._span.set(Attribute.ATTEMPT, metadata.attempt)
            how = Beginning(name=name, parent=self._span.context)
            span = self._trail.begin(self._where, how)
            try:
                # A generator runs here, not behind the span.
                answer = callback(state, event, metadata)
                return materialized(answer) if name == "handle" else answer
            except BaseException as error:
                told = masked(text(error), (state, event), self._uuid)
                span.fail(type(error).__name__, told)
                raise
            finally:
                span.end()

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
                self._span.set(Attribute.ANSWER, answer)

        return asked


def _on(arrived: Arrived, context: bytes, *, goes_on: bool) -> Arrived:
    """The event as if the span had sent it: what it leaves behind comes from there."""
    headers = carried(arrived.routed.headers, context, goes_on=goes_on)
    return replace(arrived, routed=replace(arrived.routed, headers=headers))
