"""Which generation of a process manager is live, and that no worker runs another one.

Inbox, changelog and groups may be made anew beside the old ones, by a rebuild or a repartition;
those that were are kept for a way back. A small compacted topic says which are live (no topic: the
first). Rule: a worker looks there before it begins, and waits while a change is under way; who
looked too early finds the positions of his generation marked closed.
"""

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pmstream.app import App, Names
from pmstream.errors import Busy, ConfigurationError
from pmstream.runtime.log import Committed, Log, Record, TopicPartition
from pmstream.runtime.log_errors import Unavailable

STATE_KEY = b"state"

_READ_SECONDS, _EMPTY_READS = 0.05, 200  # ten seconds without a record or a step


class Change(Struct, frozen=True, kw_only=True):
    """A change of generation that is under way.

    Attributes:
        what: the command that makes it, for people.
        generation, feeds: see `Names`, of the one that is to be live.
        partitions: how many it has.
        time: when it began, milliseconds since the epoch.
        detail: what else the command was told, and must be told again to go on.
    """

    what: str
    generation: int
    feeds: int
    partitions: int
    time: int
    detail: str = ""


class Kept(Struct, frozen=True, array_like=True):
    """A position of a group of a closed generation, as it was before it was marked."""

    group: str
    topic: str
    partition: int
    position: int
    metadata: str


class Past(Struct, frozen=True, kw_only=True):
    """A generation that was live, and the command that made another one of it."""

    generation: int
    feeds: int
    what: str


class State(Struct, frozen=True, kw_only=True):
    """What the topic says of a process manager.

    Attributes:
        generation, feeds: see `Names`, of the live one.
        used: the highest number that was ever given: none is given twice.
        change: what is under way.
        past: those that were live before, the last one last.
        closed: positions of closed generations, by their number.
    """

    generation: int = 1
    feeds: int = 1
    used: int = 1
    change: Change | None = None
    past: tuple[Past, ...] = ()
    closed: dict[str, tuple[Kept, ...]] = {}

    def names(self, app: str, process_manager: str) -> Names:
        """Of the live generation."""
        return Names(app, process_manager, self.generation, self.feeds)


class Closed(Struct, frozen=True, array_like=True, tag="closed"):
    """The text of a position whose generation is closed.

    Attributes:
        live: the generation that runs instead.
        before: the text that stood there.
    """

    live: int
    before: str


_decoder = msgspec.json.Decoder(State)
_closed_decoder = msgspec.json.Decoder(Closed)


def dump_state(state: State) -> bytes:
    """The state as the topic's record."""
    return msgspec.json.encode(state)


def dump_closed(closed: Closed) -> str:
    """The mark as text of a committed position."""
    return msgspec.json.encode(closed).decode()


def load_closed(text: str) -> Closed | None:
    """Reads `dump_closed`; None when something else stands there."""
    try:
        return _closed_decoder.decode(text)
    except msgspec.MsgspecError:
        return None


def check_open(place: TopicPartition, committed: Committed) -> None:
    """Raises Busy if the position is that of a closed generation."""
    closed = load_closed(committed.metadata)
    if closed is not None:
        raise Busy(
            f"{place.topic}-{place.partition}: this generation is closed, generation "
            f"{closed.live} runs instead (or will, once it is made): nothing is done here. Started "
            "again, a worker finds the live one; if it does not, it may not see the topic that "
            "ends in `.generations`: allow Describe and Read there"
        )


def read_state(log: Log, app: str, process_manager: str) -> State:
    """What is known of a process manager's generations.

    Raises:
        ConfigurationError: the topic holds what this version cannot read.
        Unavailable, Refused: the cluster.
    """
    topic = Names(app, process_manager).generations
    if topic not in log.topics():
        return State()
    last = _last(log, TopicPartition(topic, 0))
    if last is None or last.value is None:
        return State()
    try:
        return _decoder.decode(last.value)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(
            f"{topic}-0 at offset {last.offset} cannot be read ({error}): nobody but pmstream may "
            "write there; if a newer version did, run that version"
        ) from error


def live(log: Log, app: str, process_manager: str) -> Names:
    """Names of the live generation, also while another is being made. Raises as `read_state`."""
    return read_state(log, app, process_manager).names(app, process_manager)


def everyone(log: Log, app: App) -> list[Names]:
    """Names of the live generation of each process manager. Raises as `read_state`."""
    return [live(log, app.name, name) for name in app.process_managers]


def ever(log: Log, app: App) -> list[Names]:
    """The same, each followed by those that were live before, whose topics may still be there."""
    found = []
    for name in app.process_managers:
        state = read_state(log, app.name, name)
        found.append(state.names(app.name, name))
        found += [Names(app.name, name, each.generation, each.feeds) for each in state.past]
    return found


def to_run(log: Log, app: str, process_manager: str) -> Names:
    """Names for a worker.

    Raises:
        Busy: another generation is being made.
        ConfigurationError, Unavailable, Refused: as `read_state`.
    """
    state = read_state(log, app, process_manager)
    if state.change is not None:
        raise Busy(unfinished(process_manager, state.change))
    return state.names(app, process_manager)


def unfinished(process_manager: str, change: Change) -> str:
    """What is to be said of a change that is under way."""
    return (
        f"a {change.what} makes generation {change.generation} of {process_manager}: workers wait "
        "until it is done. If nobody is at it any more, the same command goes on where it "
        f"stopped, or gives it up with --abandon"
    )


def _last(log: Log, place: TopicPartition) -> Record | None:
    """The last committed state."""
    start, end = log.start(place), log.end(place, stable=True)
    if start is None or end is None:
        raise Unavailable(f"{place.topic}-{place.partition} does not answer (no leader)")
    last, empty, before, reader = None, 0, start, log.reader()
    try:
        reader.assign({place: start})
        while before < end:
            records = reader.read(500, _READ_SECONDS)
            for record in records:
                last = record if record.key == STATE_KEY else last
            now = reader.position(place) or before
            empty = 0 if now > before else empty + 1
            if empty >= _EMPTY_READS:
                raise Unavailable(f"{place.topic}-{place.partition} cannot be read beyond {now}")
            before = now
    finally:
        reader.close()
    return last


def with_change(state: State, change: Change | None) -> State:
    """The state with a change under way, or without."""
    used = max(state.used, change.generation) if change is not None else state.used
    return replace(state, change=change, used=used)
