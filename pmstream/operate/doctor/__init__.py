"""Looks at all that an app stands on and names each thing that is wrong, with its remedy."""

from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.catalogue import kinds
from pmstream.operate.doctor.examination import UNREACHABLE, examine
from pmstream.operate.doctor.finding import APP, Finding, Kind, Severity

__all__ = ["APP", "UNREACHABLE", "Case", "Finding", "Kind", "Severity", "examine", "kinds"]
