"""The log in memory, with transactions, last stable offsets, groups and fencing.

It passes the same contract suite as Kafka (`tests/contract`), is deterministic and single-threaded,
and takes time from its `Clock` alone: a call that waits sleeps on that clock.

Hooks for tests, all on `MemoryLog`:

- `inject(call, error, after=, who=, times=)`: a call of the port raises `error` (None: answers
  None), before or after its work. A lost answer is `inject("commit", Again(""), after=True)`; an
  unknown end is `inject("end", None)`; a coordinator away is `inject("committed",
  OffsetPending(""), times=n)`; an error of the tests' own is a crash at that point.
- `hold_markers(held=)`: transactions are decided, their markers late.
- `pin(transactional_id)`: its open transaction hangs; nothing ends it.
- `rebalance`, `expel`, `lose`: now a new generation, max.poll.interval exceeded, the session over.
- `forget_positions`: a group's positions expire.
- `compact`, `truncate`, `delete_topic`, `add_partitions`: what happens to topics.

A process dies when nobody calls its consumer any more and its producer is dropped.

What is simpler than Kafka:

- One broker that never fails by itself; replication, authorisation and quotas do not exist.
- A group has no join phase: a new generation begins at once, and a member hears of it in its next
  gather. Until then its membership is stale; a member that never gathers again keeps its
  partitions until its session ends. In Kafka the group waits for its members instead.
- Heartbeats are gathers: who gathers too seldom loses the session; `expelled` comes from `expel`.
- A subscription that names other topics than the other members' is balanced by count only.
- Records are sent by `flush` and whatever implies it, never in between; queues have no limit.
- A record's size is counted uncompressed, one record a batch. Nothing is compacted or expires by
  time: tests say when. Compaction goes up to the last stable offset and removes all markers below.
- Timestamps are the clock's at the append, under either message.timestamp.type.
"""

from pmstream.runtime.memory.cluster import MemoryLog

__all__ = ["MemoryLog"]
