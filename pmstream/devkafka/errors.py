"""What stops an embedded Kafka, told in one sentence."""

from pmstream.errors import ConfigurationError


class DevKafkaError(ConfigurationError):
    """The embedded Kafka cannot be had or does not run: what is wrong, where, what to do.

    A ConfigurationError, because what mends it is on this machine: a port, a Java, a folder.
    """
