"""A real Apache Kafka for a laptop or a test, no Docker: locked jars, one broker or three.

with Cluster() as kafka:
    Producer({"bootstrap.servers": kafka.bootstrap_servers})
"""

from pmstream.devkafka.cache import VERSION
from pmstream.devkafka.cluster import Cluster
from pmstream.devkafka.errors import DevKafkaError
from pmstream.devkafka.foreground import serve

__all__ = ["VERSION", "Cluster", "DevKafkaError", "serve"]
