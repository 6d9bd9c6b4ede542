"""The small world of `tests.runtime.world` in direct mode: events keyed by process, no router."""

from pmstream.errors import ConfigurationError
from pmstream.operate import starts, topics
from pmstream.runtime.log import Headers, TopicPartition
from pmstream.runtime.roles import INSTANCES
from tests.faults.kafka_kit import KafkaWorld
from tests.runtime.world import Happened, World


class Direct(World):
    """A world whose app says `keyed`; topics and starts are those of `topics ensure`."""

    def _make_topics(self) -> None:
        self.ensure()

    def ensure(self, *, restart_expired: bool = False) -> None:
        """What `pmstream topics ensure --create-missing` does."""
        plan = topics.plan(self.app, self.log, self.settings, create_missing=True)
        if plan.faults:
            raise ConfigurationError(*plan.faults)
        topics.carry_out(plan, self.log)
        found = starts.find_starts(self.app, self.log, restart_expired=restart_expired)
        if found.faults:
            raise ConfigurationError(*found.faults)
        starts.set_starts(self.app, self.log, found)

    def produce(self, *events: Happened, headers: Headers = ()) -> None:
        """Appends events to the source topic, keyed by process UUID."""
        for event in events:
            value = self.codec.encode_event(self.source, event)
            self.writer.produce(self.source, value, event.process.encode(), headers)
        self.writer.flush(10)

    def start_all(self) -> None:
        """One instances worker is all."""
        self.start(INSTANCES, "w-0")

    def _marks(self) -> list[int | None]:
        names = (self.source, self.names.changelog, self.target)
        counts = {name: self.log.topics()[name].partitions for name in names}
        places = [TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)]
        return [self.log.end(place, stable=True) for place in places]


class DirectOnKafka(Direct, KafkaWorld):
    """The same on a real Kafka."""
