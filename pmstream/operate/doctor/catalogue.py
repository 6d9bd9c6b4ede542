"""Every kind of finding that there is."""

from types import ModuleType

from pmstream.operate.doctor import (
    brokers,
    examination,
    groups,
    layout,
    machine,
    permissions,
    replicas,
    scratch,
    spans,
    state,
)
from pmstream.operate.doctor.finding import Kind

MODULES: tuple[ModuleType, ...] = (
    machine,
    state,
    spans,
    brokers,
    replicas,
    layout,
    groups,
    permissions,
    scratch,
    examination,
)


def kinds() -> dict[str, Kind]:
    """Code to kind, in the order of the checks."""
    found = [each for module in MODULES for each in vars(module).values() if isinstance(each, Kind)]
    return {each.code: each for each in found}
