"""pmstream runs process managers (sagas) on Apache Kafka, exactly once."""

from pmstream.app import App, Topic
from pmstream.core import failure, routing, timers
from pmstream.core.failure import FailureContext
from pmstream.core.messages import Metadata
from pmstream.core.process import AfterCommand, ProcessManager

__all__ = [
    "AfterCommand",
    "App",
    "FailureContext",
    "Metadata",
    "ProcessManager",
    "Topic",
    "failure",
    "routing",
    "timers",
]

__version__ = "0.1.0"
