"""Pieces of scripts that chance alone finds too seldom; what surrounds them is left to chance."""

from collections.abc import Callable


def frozen_in_a_restore(who: str, events: list[str], visits: int) -> list[str]:
    """Asked for the position, then slept through the commits of a newer owner."""
    meanwhile = [f"twin {who}", "turns 6", *events, "turns 4", "turns 6"]
    return [
        *events[:3],
        "turns 6",
        f"stop {who}",
        f"restart {who} wiped",
        f"trap {who} restoring {3 * visits - 1} {len(meanwhile)}",
        f"turn {who} 8",
        *meanwhile,
    ]


def older_than_the_tombstones(who: str, events: list[str], visits: int) -> list[str]:
    """A copy of the disk from before an instance ended, put back when its tombstone is gone."""
    return [
        *events,
        "turns 6",
        f"stop {who}",
        f"restart {who} kept",
        *(f"produce 0 {process} stop plain 1" for process in "abcd"),
        "turns 6",
        "compact only",
        "advance 100000",
        "turns 6",
        "compact tombstones",
        f"crash {who}",
        f"restart {who} old-{visits}",
        "turns 6",
    ]


def answer_lost(who: str, events: list[str], visits: int) -> list[str]:
    """A commit counts, nobody says so, and the same instances go on."""
    return [
        *events[:3],
        "turns 4",
        f"inject commit OutcomeUnknown after {who} {visits // 4 + 1}",
        *events[3:],
        *(f"produce 0 {process} start plain 1" for process in "abc"),
        "turns 4",
        *(f"produce 0 {process} start plain 1" for process in "abc"),
    ]


RECIPES: list[Callable[[str, list[str], int], list[str]]] = [
    frozen_in_a_restore,
    older_than_the_tombstones,
    answer_lost,
]
