"""Whether the code at hand can work on with what is stored: asked before a roll-out.

Rule: nothing is written; every fault names its instance and what no longer fits.
"""

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from pmstream.app import App
from pmstream.core.instance import FormatError, Work, load_instance, load_work
from pmstream.core.messages import Routed
from pmstream.core.process import Callbacks, bind
from pmstream.core.state import check_version, load_state
from pmstream.errors import StateInvalid, StateNewer, Undecodable
from pmstream.operate.changelog import fold
from pmstream.runtime.codec import Codec
from pmstream.runtime.generations import live
from pmstream.runtime.log import Log
from pmstream.runtime.store import INSTANCE

MOST_UNFIT = 1_000
"""So many faults are told one by one: a changed schema may hit every instance."""


class Unfit(Struct, frozen=True):
    """What the code at hand cannot work on with.

    Attributes:
        uuid: of the process.
        what: "record", "state", "newer state", "input" or "command".
        why: the sentence.
    """

    uuid: str
    what: str
    why: str


class Checked(Struct, frozen=True):
    """What was found.

    Attributes:
        process_manager: its name.
        instances: how many there are, markers of completed ones counted.
        waiting: backlog entries.
        versions: state_version to the number of instances written with it.
        faults: what is wrong, in all.
        unfit: the first MOST_UNFIT of them, by process UUID.
    """

    process_manager: str
    instances: int
    waiting: int
    versions: dict[int, int]
    faults: int
    unfit: tuple[Unfit, ...]


def check(log: Log, app: App, process_manager: str) -> Checked:
    """Reads every instance and all that waits with today's code.

    Raises:
        ConfigurationError: there is no such process manager, or no changelog.
        Unreachable, Unavailable: the cluster.
    """
    callbacks, codec = bind(app.manager(process_manager)), Codec(app)
    records = fold(log, live(log, app.name, process_manager))
    versions: Counter[int] = Counter()
    unfit: list[Unfit] = []
    instances = count = 0
    for key, (_, value) in sorted(records.items()):
        uuid = key[1:].partition(b"\0")[0].decode()
        try:
            if key[:1] == INSTANCE:
                instances += 1
                faults = list(_of_instance(value, callbacks, codec, versions))
            else:
                faults = list(_of_work(load_work(value), codec))
        except FormatError as error:
            faults = [("record", str(error))]
        count += len(faults)
        unfit += [Unfit(uuid, what, why) for what, why in faults[: MOST_UNFIT - len(unfit)]]
    waiting = len(records) - instances
    by_version = dict(sorted(versions.items()))
    return Checked(process_manager, instances, waiting, by_version, count, tuple(unfit))


def _of_instance(
    value: bytes, callbacks: Callbacks, codec: Codec, versions: Counter[int]
) -> Iterator[tuple[str, str]]:
    instance = load_instance(value)
    if instance.exists:
        versions[instance.state_version] += 1
        try:
            check_version(instance, callbacks)
            load_state(instance.state, callbacks, instance.state_version)
        except StateNewer as error:
            yield "newer state", str(error)
        except StateInvalid as error:
            yield "state", str(error)
    if instance.work is not None:
        yield from _of_work(instance.work, codec)


def _of_work(work: Work, codec: Codec) -> Iterator[tuple[str, str]]:
    if isinstance(work.input, Routed):
        try:
            codec.decode_event(work.input)
        except Undecodable as error:
            yield "input", f"{work.input.cause}: {error}"
    for each in (*work.sent, *work.pending):
        try:
            codec.decode_command(each.topic, each.value, each.headers)
        except Undecodable as error:
            yield "command", f"{each.id} for {each.topic}: {error}"
