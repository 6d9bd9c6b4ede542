"""A class archive lets a JVM start in half the time; made once in the cache.

Rule: an archive is a favour. Whatever is wrong with it, the broker starts without.
"""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from pmstream.devkafka import ports, properties, readiness
from pmstream.devkafka.broker import Broker
from pmstream.devkafka.cache import locked, workshop
from pmstream.devkafka.errors import DevKafkaError
from pmstream.devkafka.runtime import Runtime, copy_template, random_id

_DUMP_TIMEOUT_S = 120.0


def path(runtime: Runtime) -> Path:
    """Where the archive of this Java and these jars is; empty if making it failed."""
    files = ((jar, jar.stat()) for jar in runtime.class_path)
    of = [(str(jar), stat.st_size, stat.st_mtime_ns) for jar, stat in files]
    key = hashlib.sha256(repr((runtime.java, runtime.java.flags, of)).encode()).hexdigest()
    return runtime.cache / f"classes-{key[:16]}"


def flags(runtime: Runtime, progress: Callable[[str], None]) -> tuple[str, ...]:
    """The JVM flags that use the archive, which is made if it is missing."""
    archive = path(runtime)
    if not archive.exists():
        with locked(runtime.cache):
            if not archive.exists():
                progress("making a class archive, once: later starts take half the time")
                _make(runtime, archive)
    if not archive.stat().st_size:
        return ()
    return (f"-XX:{'AOTCache' if _is_aot(runtime) else 'SharedArchiveFile'}={archive}",)


def forget(runtime: Runtime) -> None:
    """Remembers that the archive is no good, so that no start tries it again."""
    archive = path(runtime)
    archive.unlink(missing_ok=True)
    archive.touch()


def _is_aot(runtime: Runtime) -> bool:
    return runtime.java.version >= 25  # JEP 514


def _make(runtime: Runtime, archive: Path) -> None:
    """Lets a broker write it at the end of a short life."""
    with workshop(runtime.cache) as made, tempfile.TemporaryFile() as nothing:
        port, controller_port = ports.free(2)
        copy_template(runtime.template, made / "data", 1, random_id())
        server = properties.server(1, [port], {1: controller_port}, made / "data", {})
        properties.write(server, made / "server.properties")
        output = "AOTCacheOutput" if _is_aot(runtime) else "ArchiveClassesAtExit"
        broker = Broker(1, port, made)
        try:
            broker.start(
                runtime.command(made / "server.properties", f"-XX:{output}={made / 'classes'}"),
                made,
                nothing,
            )
            readiness.await_brokers([broker])
            readiness.make_internal_topics(broker.address, server)
            broker.terminate()
            broker.wait(_DUMP_TIMEOUT_S)
        except DevKafkaError:
            pass  # the broker that is wanted will tell what is wrong
        finally:
            broker.end()
        if (made / "classes").is_file():
            (made / "classes").rename(archive)
        else:
            archive.touch()
