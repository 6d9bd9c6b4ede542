"""For authors' tests: a process manager on its own, no broker, no clock."""

from pmstream.testing.scenario import Scenario, accepted, rejected, scenario

__all__ = ["Scenario", "accepted", "rejected", "scenario"]
