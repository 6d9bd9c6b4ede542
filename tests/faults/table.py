"""The faults that must be survived, and on which tiers each is to be shown.

M is the log in memory with virtual time, K a real Kafka, S a store alone. A test of fault 12 in
memory is called `test_f12_m_…`; it may have companions on tiers that are not asked for.
"""

FAULTS: dict[int, tuple[str, str]] = {
    1: ("MK", "another owner's transaction is open or its marker late: a restore waits"),
    2: ("K", "a frozen owner that wakes up makes nothing visible, and rejoins by itself"),
    3: ("MK", "a changelog that ends in a marker, an abort or a compacted gap: a restore ends"),
    4: ("M", "a rebalance at every step of a restore: no hang, no loss"),
    5: ("MK", "empty disk, and the low watermark moves meanwhile: a full restore"),
    6: ("M", "a last stable offset pinned for ever: a named error in restore_stall_timeout"),
    7: ("MK", "a checkpoint below the changelog's start: rebuilt from the start, and told"),
    8: ("MS", "killed in the middle of a restore: resumed, never called complete"),
    9: ("M", "'no offset' once, although history exists: never origin onto old state"),
    10: ("M", "aborted writes are never in the store"),
    11: ("SK", "SIGKILL and reopen, again and again: opens, same state"),
    12: ("MK", "the commit's answer is lost, either way: neither lost nor doubled"),
    13: ("SK", "a state directory that is held: bounded waits, a clear error, membership kept"),
    14: ("M", "the store stalls for 60 s: membership kept, then goes on"),
    15: ("K", "a handler longer than max.poll.interval: nothing of it counts, rejoins"),
    16: ("K", "three workers restarted one after another under load: nothing wrong"),
    17: ("MK", "a transaction older than its timeout: aborted by the broker, done again"),
    18: ("K", "the coordinator is away in mid-commit: waits, resumes"),
    19: ("M", "a rebalance at send-offsets: aborted, done again for what is still owned"),
    20: ("K", "SIGKILL right after send-offsets: the next owner waits for the takeover only"),
    21: ("K", "200 SIGKILLs at random points: nothing wrong"),
    22: ("MK", "the inbox's purge races with an abort: only committed positions are purged"),
    24: ("K", "wrong partition counts: refused with the numbers; a source that grows works"),
    25: ("MK", "a committed position no longer retained: stops with the remedy, state kept"),
    26: ("S", "64 partitions, 1 000 opens and closes: memory bounded and flat"),
    27: ("S", "flipped bytes: found, rebuilt from the changelog, told"),
    28: ("MK", "a paused partition revoked and assigned again: runs at the committed position"),
    29: ("K", "pause and resume with prefetched records: no duplicate, no gap"),
    33: ("K", "tiny client buffers during a restore: no deadlock"),
    35: ("MS", "a copy older than delete.retention.ms: rebuilt, what stopped stays stopped"),
    36: ("MK", "expired positions, changelog alive: they come from the commit record"),
    37: ("MK", "positions moved from outside onto state: refused with the remedy"),
    38: ("MK", "another partitioner: stops at the first misplaced key and names both"),
    39: ("MK", "poison, oversize, unknown topic: never poisons the neighbours' transaction"),
    40: ("MK", "one of 10 000 instances retries, parks, backlogs: neighbours do not wait"),
    41: ("SK", "disk full or read-only: a clear stop, nothing lost, resumes with space"),
    42: ("M", "the clock steps an hour: due work is done once, no busy loop"),
    43: ("M", "10 000 malformed records: dead-lettered or refused, no crash, no wrong instance"),
    44: ("K", "killed in the flush before send-offsets and never restarted: nobody waits long"),
    45: ("MK", "a source made again, grown, or its positions expired: refused, or begins well"),
    46: ("MK", "a full backlog pauses its partition: it runs on once released"),
    47: ("M", "down past a deadline whose answer waits in the topic: no false timeout"),
    48: ("M", "killed in the middle of a drain, and no further input: drains to the end"),
    49: ("M", "a router's positions moved back: nothing runs twice, no command id repeats"),
    50: ("MK", "stopped for longer than inbox_retention: nothing unhandled is gone"),
    51: ("M", "events before their start: the start passes them, order kept"),
    52: ("M", "outcome unknown while a committed batch is cached: state equals the fold"),
}
"""Fault to (tiers, what is expected)."""

NOT_YET: dict[tuple[int, str], str] = {}
"""What no test can show yet: (fault, tier) to why."""

PARTLY: dict[int, str] = {
    37: "the deliberate replay: there is no such order yet",
    39: "a missing ACL: the embedded Kafka has no authorizer",
    43: "orders: there are none yet",
    45: "`start_from` is the tools' (tests/operate), the runtime knows positions only",
    46: "an operator's release: there are no orders yet; the reply in memory only",
}
"""What of a fault its tests leave out, and why."""
