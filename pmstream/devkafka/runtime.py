"""All that a broker's JVM needs, made ready in the cache: jars, a formatted folder, a Java."""

import secrets
import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pmstream.devkafka import cache, jars, java, properties
from pmstream.devkafka.errors import DevKafkaError

_LOG4J = Path(__file__).with_name("log4j2.properties")


@dataclass(frozen=True)
class Runtime:
    """A Java, a class path, and a folder formatted once.

    Attributes:
        cache: the folder of what is made once.
        java: what runs it.
        class_path: the jars.
        template: what StorageTool made; each broker starts from a copy.
    """

    cache: Path
    java: java.Java
    class_path: Sequence[Path]
    template: Path

    def command(self, server_properties: Path, *flags: str) -> list[str]:
        """How to run a broker."""
        jvm = _command(self.java, self.class_path, *flags)
        return [*jvm, "kafka.Kafka", str(server_properties)]


def ready(kafka_home: Path | None, progress: Callable[[str], None]) -> Runtime:
    """Finds or makes all that is needed.

    Raises:
        DevKafkaError: something is missing and cannot be had.
    """
    folder = cache.folder()
    found = java.find()
    class_path = jars.find(folder, kafka_home, progress)
    return Runtime(folder, found, class_path, _template(folder, found, class_path))


def copy_template(template: Path, data: Path, node: int, cluster_id: str) -> None:
    """Makes a broker's data folder, whole or not at all.

    Brokers differ in `node.id` and `directory.id` of meta.properties and share `cluster.id`; the
    other file holds only the features of a new cluster.
    """
    new = data.with_name(data.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(template, new)
    meta = {
        "version": "1",
        "cluster.id": cluster_id,
        "node.id": str(node),
        "directory.id": random_id(),
    }
    properties.write(meta, new / "meta.properties")
    new.rename(data)


def random_id() -> str:
    """A UUID as Kafka writes it; none begins with a dash, as Kafka's never do."""
    while True:
        made = urlsafe_b64encode(uuid.UUID(bytes=secrets.token_bytes(16), version=4).bytes)
        if not made.startswith(b"-"):
            return made.decode().rstrip("=")


def _command(found: java.Java, class_path: Sequence[Path], *flags: str) -> list[str]:
    joined = ":".join(map(str, class_path))
    log4j = f"-Dlog4j2.configurationFile={_LOG4J}"
    return [str(found.path), *found.flags, *flags, "-cp", joined, log4j]


def _template(folder: Path, found: java.Java, class_path: Sequence[Path]) -> Path:
    template = folder / "template"
    with cache.locked(folder):
        if not template.is_dir():
            with cache.workshop(folder) as made:
                _format(made, _command(found, class_path)).rename(template)
    return template


def _format(into: Path, command: Sequence[str]) -> Path:
    data, server = into / "data", into / "server.properties"
    properties.write(properties.server(1, [9092], {1: 9093}, data, {}), server)
    tool = ["kafka.tools.StorageTool", "format", "--cluster-id", random_id(), "-c", str(server)]
    done = subprocess.run([*command, *tool], capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        raise DevKafkaError(f"Kafka's StorageTool cannot format a folder: {words}")
    return data
