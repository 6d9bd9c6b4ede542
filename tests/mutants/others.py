"""More protocol bugs that are as easy to make.

Not among them, because the producer mends it: taking a commit without an answer for an abort. Its
next `begin` is a wrong call, whose outcome is unknown, and every position is read again.
"""

from tests.mutants.mutation import (
    AGENDA,
    CHANGELOG,
    COMMIT,
    PARTITION,
    RESTORE,
    SHARE,
    WORKER,
    Edit,
    Mutation,
)

_FLUSH = """\
        probe("flush")
        _repeat(lambda: producer.flush(_CALL_SECONDS, meanwhile), clock, until)
"""
_OFFSETS = """\
        probe("offsets")
        send = partial(producer.send_offsets, group, offsets, _CALL_SECONDS, meanwhile)
        _repeat(send, clock, until)
"""

OTHERS = (
    Mutation(
        "expelled keeps what is staged",
        "§5: max.poll.interval exceeded drops all at once; `lost` comes with the next poll only",
        (Edit(WORKER, "            self.stage.dropped_all()\n", "            pass\n"),),
    ),
    Mutation(
        "flush after the offsets",
        "§2.4: an offset that is pending implies that its owner can be read in the changelog",
        (Edit(COMMIT, _FLUSH + _OFFSETS, _OFFSETS + _FLUSH),),
    ),
    Mutation(
        "commit record first",
        "I2: the commit record is its transaction's last record in the partition",
        (
            Edit(COMMIT, "    for out in each.records:\n", "    for out in ():\n"),
            Edit(
                COMMIT,
                "last.key, (), last.partition, delivered)\n",
                "last.key, (), last.partition, delivered)\n    for out in each.records:\n"
                "        producer.produce(\n"
                "            out.topic, out.value, out.key, out.headers, out.partition\n"
                "        )\n",
            ),
        ),
    ),
    Mutation(
        "a record that is not produced is left out",
        "F12: a local failure of produce() does not poison: the transaction would commit without",
        (
            Edit(
                COMMIT,
                "        produce(out.topic, out.value, out.key, out.headers, out.partition)\n",
                "        try:\n"
                "            produce(out.topic, out.value, out.key, out.headers, out.partition)\n"
                "        except MustAbort:\n"
                "            pass\n",
            ),
        ),
    ),
    Mutation(
        "no sequence for retries",
        "I2: +1 per transaction that touches the partition, also when nothing was consumed",
        (
            Edit(
                SHARE,
                "sequence=last.sequence + 1 if last is not None else 1,",
                "sequence=last.sequence + (position.source != last.source) if last else 1,",
            ),
        ),
    ),
    Mutation(
        "worked hints win",
        "a hint that was worked on and called for anew in the same batch must stay",
        (
            Edit(
                AGENDA,
                "return {**self._done, **with_due(changes)}",
                "return {**with_due(changes), **self._done}",
            ),
        ),
    ),
    Mutation(
        "whole is ignored",
        "ADR 5: a chunk may end in mid-transaction; such a store is no state of any commit",
        (
            Edit(
                CHANGELOG,
                "return self.whole and self.last is not None and",
                "return self.last is not None and",
            ),
        ),
    ),
    Mutation(
        "an aborted batch stays cached",
        "§2.5: the overlay becomes cache after the acknowledgement only",
        (
            Edit(
                PARTITION,
                'again."""\n        self._forget()\n',
                'again."""\n'
                "        self._batch.instances.publish(self._batch.instances.changes(), 0)\n"
                "        self._forget()\n",
            ),
        ),
    ),
    Mutation(
        "seen marks of an aborted batch stay",
        "core §4: what is seen is what a commit record says",
        (
            Edit(
                PARTITION,
                "dict(last.seen) if last is not None else {}",
                "last.seen if last is not None else {}",
            ),
        ),
    ),
    Mutation(
        "a restore ends at its target",
        "§3.5: a target reached without K = O is no restore",
        (
            Edit(
                RESTORE, "return self._mismatch(committed)", "return self._done(committed.position)"
            ),
        ),
    ),
    Mutation(
        "old tombstones are trusted",
        "§3.4: a store older than half of delete.retention.ms may have missed some",
        (Edit(RESTORE, "        self._check_age()\n", ""),),
    ),
    Mutation(
        "no takeover of a changelog",
        "§4: nobody waits for the transaction timeout of a dead owner",
        (
            Edit(
                "pmstream/runtime/restores.py",
                "            self._takeover.changelog(restore.changelog, "
                "last.owner if last else None)\n",
                "            assert last is None or last\n",
            ),
        ),
    ),
    Mutation(
        "a router acknowledges before the commit",
        "§2: records in hand are done after the acknowledgement",
        (
            Edit(
                "pmstream/runtime/sources.py",
                "        self.records: Sequence[Sent] = part.out\n",
                "        self.records: Sequence[Sent] = part.out\n"
                "        self.acknowledged(None)\n",
            ),
        ),
    ),
)
