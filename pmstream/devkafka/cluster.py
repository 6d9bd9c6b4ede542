"""A cluster of one broker or three, from start to stop."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from types import TracebackType
from typing import Self

from pmstream.devkafka import archive, ports, properties, readiness, runtime
from pmstream.devkafka.broker import Broker
from pmstream.devkafka.cache import VERSION
from pmstream.devkafka.errors import DevKafkaError
from pmstream.devkafka.home import Home

_SHUTDOWN_TIMEOUT_S = 20.0


def _silent(_line: str) -> None:
    pass


class Cluster:
    """A real Apache Kafka on 127.0.0.1, for as long as a `with` block lasts.

    Brokers are numbered from 1. They do not outlive this process, not even one that is killed.

    Args:
        brokers: 1 or 3. Three keep three replicas of each topic, two of which must be in sync.
        directory: where data is kept for a later start; None is a temporary directory.
        ports: where clients reach the brokers, in their order; None finds free ones.
        settings: broker settings that win over those of properties.py.
        kafka_home: a folder of Kafka's jars; None takes them from the cache or fetches them.
        progress: is told what is going on while it takes long.
        advertised: the ports that clients are told, in the brokers' order: those of a proxy, which
            has to listen before the cluster starts, for readiness is asked through it.
        jvm: more flags for the brokers' JVMs; they win over our own.
        controller_apart: the controller is a process of its own, as in production, and outlives
            its brokers; else each broker is its own controller.
        doors: more listeners, of a cluster of one broker.

    Raises:
        DevKafkaError: at any method, in one sentence.
    """

    def __init__(  # noqa: PLR0913 - each has a default that most callers want
        self,
        brokers: int = 1,
        directory: Path | None = None,
        ports: Sequence[int] | None = None,
        settings: Mapping[str, str] | None = None,
        *,
        kafka_home: Path | None = None,
        progress: Callable[[str], None] = _silent,
        advertised: Sequence[int] | None = None,
        jvm: Sequence[str] = (),
        controller_apart: bool = False,
        doors: Sequence[properties.Door] = (),
    ) -> None:
        if brokers not in (1, 3):
            raise DevKafkaError(f"a cluster has 1 or 3 brokers, not {brokers}: choose one of these")
        if ports is not None and len(ports) != brokers:
            raise DevKafkaError(f"{brokers} brokers need as many ports, not {len(ports)}")
        if advertised is not None and len(advertised) != brokers:
            raise DevKafkaError(
                f"{brokers} brokers need as many advertised ports, not {len(advertised)}"
            )
        if doors and brokers != 1:
            raise DevKafkaError(f"doors are for a cluster of one broker, not of {brokers}")
        self._size, self._doors = brokers, tuple(doors)
        self._directory = directory
        self._ports = ports
        self._settings = dict(settings or {})
        self._advertised = tuple(advertised or ())
        self._jvm = tuple(jvm)
        self._controller_apart = controller_apart
        self._kafka_home = kafka_home
        self._progress = progress
        self._runtime: runtime.Runtime | None = None
        self._archive: tuple[str, ...] = ()
        self._home: Home | None = None
        self._brokers: list[Broker] = []
        self._controller: Broker | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of all brokers, separated by commas."""
        return ",".join(broker.address for broker in self._brokers)

    @property
    def directory(self) -> Path:
        """Where the data is."""
        if self._home is None:
            raise DevKafkaError("the cluster does not run: start it first")
        return self._home.path

    @property
    def pids(self) -> list[int | None]:
        """The JVMs' process ids, by broker; None where none runs."""
        return [broker.pid if broker.runs else None for broker in self._brokers]

    def start(self) -> None:
        """Starts all brokers; returns when clients can use them."""
        if self._home is not None:
            raise DevKafkaError("the cluster runs already: stop it first")
        for port in self._ports or ():
            ports.check(port)
        self._runtime = runtime.ready(self._kafka_home, self._progress)
        self._archive = archive.flags(self._runtime, self._progress)
        self._progress(f"starting Apache Kafka {VERSION}")
        self._home = Home(self._directory, self._size)
        try:
            self._prepare(self._runtime, self._home)
            self._launch(self._brokers)
            readiness.make_internal_topics(self.bootstrap_servers, self._properties(1))
        except BaseException:
            self._kill_all()
            raise

    def stop(self) -> None:
        """Stops all brokers: in order if their data is kept, else at once."""
        if self._home is not None and not self._home.is_temporary:
            running = [broker for broker in self._brokers if broker.runs]
            # The last of three has no quorum that would let it go in order: it waits for minutes.
            for broker in running if self._size == 1 else running[:-1]:
                broker.terminate()
                broker.wait(_SHUTDOWN_TIMEOUT_S)
        self._kill_all()

    def kill(self, number: int) -> None:
        """Ends a broker by SIGKILL."""
        self._broker(number).end()

    def pause(self, number: int) -> None:
        """Lets a broker stand still (SIGSTOP): its connections stay open, nothing answers."""
        self._broker(number).send(SIGSTOP)

    def resume(self, number: int) -> None:
        """Lets a paused broker go on."""
        self._broker(number).send(SIGCONT)

    def stop_broker(self, number: int) -> None:
        """Shuts a broker down in order (SIGTERM); kills it should that take too long."""
        broker = self._broker(number)
        broker.terminate()
        if not broker.wait(_SHUTDOWN_TIMEOUT_S):
            broker.end()

    def start_broker(self, number: int) -> None:
        """Starts a broker that was stopped or killed, on its port and its data."""
        broker = self._broker(number)
        if broker.runs:
            raise DevKafkaError(f"broker {number} runs already: stop it first")
        broker.end()
        self._launch([broker])

    def check(self) -> None:
        """Tells whether all brokers run; they may be paused.

        Raises:
            DevKafkaError: one ended, with the end of its log.
        """
        for broker in self._all():
            if not broker.runs:
                raise DevKafkaError(f"broker {broker.node} ended; {broker.last_words()}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _prepare(self, made: runtime.Runtime, home: Home) -> None:
        """Writes what each broker reads at its start."""
        clients = list(self._ports or ports.free(self._size))
        for node, port in enumerate(clients, 1):
            self._brokers.append(Broker(node, port, home.broker(node, made.template)))
        if self._controller_apart:
            node, (port,) = self._size + 1, ports.free(1)
            self._controller = Broker(node, port, home.broker(node, made.template))
            self._voters = {node: port}
        else:
            self._voters = dict(enumerate(ports.free(self._size), 1))
        for broker in self._all():
            settings = self._properties(broker.node)
            properties.write(settings, broker.folder / "server.properties")

    def _properties(self, node: int) -> dict[str, str]:
        if node > self._size:
            assert self._controller is not None
            data = self._controller.folder / "data"
            return properties.controller(node, self._size, self._voters, data, self._settings)
        clients = [broker.port for broker in self._brokers]
        data = self._brokers[node - 1].folder / "data"
        made = properties.server(
            node, clients, self._voters, data, self._settings, self._advertised
        )
        return properties.with_doors(made, self._doors)

    def _all(self) -> list[Broker]:
        return [*self._brokers, *filter(None, [self._controller])]

    def _launch(self, brokers: Sequence[Broker]) -> None:
        try:
            self._run(brokers)
        except DevKafkaError:
            all_run = all(broker.runs for broker in brokers)
            if all_run or not self._archive or self._runtime is None:
                raise
            # The archive is the one part that we made and a JVM may choke on: try without.
            for broker in brokers:
                broker.end()
            self._archive = ()
            self._run(brokers)
            archive.forget(self._runtime)

    def _run(self, brokers: Sequence[Broker]) -> None:
        assert self._runtime is not None
        assert self._home is not None
        doomed = self._home.path if self._home.is_temporary else None
        missing = [each for each in self._all() if not each.runs and each is self._controller]
        for broker in [*missing, *brokers]:
            server = broker.folder / "server.properties"
            command = self._runtime.command(server, *self._archive, *self._jvm)
            broker.start(command, doomed, self._home.held)
        readiness.await_brokers(brokers)

    def _broker(self, number: int) -> Broker:
        if not 1 <= number <= len(self._brokers):
            raise DevKafkaError(f"there is no broker {number}: they run from 1 to {self._size}")
        return self._brokers[number - 1]

    def _kill_all(self) -> None:
        for broker in self._all():
            broker.end()
        self._brokers, self._controller = [], None
        if self._home is not None:
            self._home.leave()
            self._home = None
