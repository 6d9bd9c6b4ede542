"""A TCP proxy in front of the brokers that cuts, holds, swallows or delays what goes through it.

It runs in a thread of its own; every method may be called from any other one.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from pmstream.errors import PmstreamError

_CHUNK = 64 << 10
_START_SECONDS = 10.0


class _Gate:
    """One broker's way: what becomes of the bytes."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.open = asyncio.Event()
        self.open.set()
        self.swallows = False
        self.delay = 0.0
        self.writers: set[asyncio.StreamWriter] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection until either side ends it."""
        self.writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self._abort(writer)
            return
        self.writers.add(far_writer)
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in pumps:
                each.cancel()
            self._abort(writer)
            self._abort(far_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self.open.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                if not self.swallows:
                    writer.write(data)
                    await writer.drain()

    def cut(self) -> None:
        """Resets all connections."""
        for each in tuple(self.writers):
            self._abort(each)

    def _abort(self, writer: asyncio.StreamWriter) -> None:
        self.writers.discard(writer)
        writer.transport.abort()


class Proxy:
    """A way to each broker, on ports of its own.

    Args:
        ports: where to listen, one for each target.
        targets: the brokers' ports.
    """

    def __init__(self, ports: Sequence[int], targets: Sequence[int]) -> None:
        self.ports, self._targets = list(ports), list(targets)
        self._loop = asyncio.new_event_loop()
        self._gates: list[_Gate] = []
        self._servers: list[asyncio.Server] = []
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="chaos-proxy", daemon=True)

    @property
    def addresses(self) -> str:
        """`host:port` of all, separated by commas."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def start(self) -> None:
        """Returns when it listens. Raises PmstreamError."""
        self._thread.start()
        if not self._ready.wait(_START_SECONDS) or self._failure is not None:
            raise PmstreamError(f"the proxy does not listen on {self.addresses}: {self._failure}")

    def stop(self) -> None:
        """Ends all connections and the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_START_SECONDS)

    def cut(self, number: int) -> None:
        """Resets all connections to a broker (from 1); new ones are taken at once."""
        self._do(self._gates[number - 1].cut)

    def hold(self, number: int) -> None:
        """Lets bytes wait until `heal`."""
        self._do(self._gates[number - 1].open.clear)

    def swallow(self, number: int) -> None:
        """Loses all bytes until `heal`, which resets the connections."""
        self._do(lambda: setattr(self._gates[number - 1], "swallows", True))

    def delay(self, number: int, seconds: float) -> None:
        """Lets every chunk of bytes wait so long, until `heal`."""
        self._do(lambda: setattr(self._gates[number - 1], "delay", seconds))

    def heal(self, number: int) -> None:
        """Lets all through again."""

        def heal() -> None:
            gate = self._gates[number - 1]
            if gate.swallows:
                gate.cut()  # what was lost is missing in the middle of the stream
            gate.swallows, gate.delay = False, 0.0
            gate.open.set()

        self._do(heal)

    def _do(self, call: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(call)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._listen())
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _listen(self) -> None:
        for port, target in zip(self.ports, self._targets, strict=True):
            gate = _Gate(target)
            self._gates.append(gate)
            self._servers.append(await asyncio.start_server(gate.accept, "127.0.0.1", port))

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for gate in self._gates:
            gate.cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
