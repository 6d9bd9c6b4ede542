"""Groups of the memory log under any schedule of joins, deaths and silence."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.memory.consumers import MemoryConsumer
from tests.contract.world import Member, World

PARTITIONS = 7
GROUP = "group"


class Members(RuleBasedStateMachine):
    """Members come, go, stay silent and are thrown out; the clock runs."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.log = MemoryLog(self.clock)
        self.world = World(self.log, self.clock, self.log.delete_topic)
        self.topic = self.world.topic(PARTITIONS)
        self.alive: dict[str, Member] = {}

    @precondition(lambda self: len(self.alive) < 4)
    @rule(name=st.sampled_from("abcde"))
    def start(self, name: str) -> None:
        """Starts a static member, or restarts it: the old process is dead then."""
        self.alive[name] = self.world.member(GROUP, [self.topic], name)

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), times=st.integers(1, 3))
    def gather(self, data: st.DataObject, times: int) -> None:
        member = self.alive[data.draw(st.sampled_from(sorted(self.alive)))]
        for _ in range(times):
            member.gather(timeout=0.0)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        del self.alive[data.draw(st.sampled_from(sorted(self.alive)))]

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), expel=st.booleans())
    def throw_out(self, data: st.DataObject, expel: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.alive)))
        self.log.expel(GROUP, name) if expel else self.log.lose(GROUP, name)

    @rule(rotate=st.booleans())
    def rebalance(self, rotate: bool) -> None:
        self.log.rebalance(GROUP, rotate=rotate)

    @rule(seconds=st.sampled_from([0.1, 5.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def a_partition_is_owned_by_one_member_of_this_moment(self) -> None:
        """Whoever the group still counts as a member; a lost one does not know yet."""
        members = set(self.log.members(GROUP))
        owned = [
            partition
            for name, member in self.alive.items()
            if name in members and self._is_current(name)
            for partition in member.owned
        ]
        assert len(owned) == len(set(owned))

    def teardown(self) -> None:
        """Whatever happened, those who live share everything evenly in the end."""
        if not self.alive:
            return

        def settled() -> bool:
            sizes = [len(member.owned) for member in self.alive.values()]
            return sum(sizes) == PARTITIONS and max(sizes) - min(sizes) <= 1

        self.world.gather_until(settled, *self.alive.values())

    def _is_current(self, name: str) -> bool:
        """The member's process has heard of everything that befell it."""
        owner = self.log._broker.groups[GROUP]._named(name)
        consumer = self.alive[name].consumer
        assert isinstance(consumer, MemoryConsumer)
        return owner is not None and consumer._member is owner


Members.TestCase.settings = settings(stateful_step_count=30)
TestMembers = Members.TestCase
