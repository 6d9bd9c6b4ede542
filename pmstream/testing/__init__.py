"""For authors' tests: a process manager on its own, or a whole app, without broker or clock."""

from pmstream.testing.running import Running, run
from pmstream.testing.scenario import Scenario, accepted, rejected, scenario
from pmstream.testing.services import SILENT, Rejected

__all__ = ["SILENT", "Rejected", "Running", "Scenario", "accepted", "rejected", "run", "scenario"]
