"""The ten protocol bugs that the suites must catch, some of them in several forms."""

from tests.mutants.mutation import (
    CHANGELOG,
    COMMIT,
    MEMBERS,
    RESTORE,
    SHARE,
    STAGE,
    WORKER,
    Edit,
    Mutation,
)

_ACKNOWLEDGE = """\
    for each in slices:
        probe("acknowledge")
        each.acknowledged(written.get(each.source))
"""
_OFFSETS = """\
        probe("offsets")
        send = partial(producer.send_offsets, group, offsets, _CALL_SECONDS, meanwhile)
        _repeat(send, clock, until)
"""
_COMMIT = '    try:\n        probe("commit")\n'
_NO_MEMBER = """\
        if member is None or member.generation < 0 or self._told_expelled or self._dead:
            return None
"""
_UNFENCED = """\
        if member is None or member.generation < 0 or member.gone is not None or self._dead:
            return Membership(-1, Token(self._group.name, "", None))
"""

TEN = (
    Mutation(
        "1 store before commit",
        "I1: the store is written only after the commit's acknowledgement",
        (Edit(COMMIT, _ACKNOWLEDGE, ""), Edit(COMMIT, _COMMIT, _ACKNOWLEDGE + _COMMIT)),
    ),
    Mutation(
        "2 restore target: the LSO",
        "§3.4: READ_UNCOMMITTED; what an open transaction hides is decided already or soon",
        (
            Edit(
                RESTORE,
                "log.end(self.changelog, stable=False)",
                "log.end(self.changelog, stable=True)",
            ),
        ),
    ),
    Mutation(
        "2 restore target: before the position",
        "§3.4: an end taken before O is known can be below the record that O names",
        (
            Edit(
                RESTORE,
                "        if not self._asked and not self._ask(consumer):\n",
                "        if self._target is None:\n            self._aim(log)\n"
                "        if not self._asked and not self._ask(consumer):\n",
            ),
        ),
    ),
    Mutation(
        "3 no metadata guard: membership",
        "§2.3, F4: a broker accepts generation -1 with an empty member id, unfenced. "
        "The log in memory is made to do so, too, and its door lets such a membership through",
        (
            Edit(MEMBERS, _NO_MEMBER, _UNFENCED),
            Edit(
                "pmstream/runtime/memory/group.py",
                "        if member_id not in self.members:\n",
                "        if not member_id and generation < 0:\n            return\n"
                "        if member_id not in self.members:\n",
            ),
        ),
    ),
    Mutation(
        "3 no metadata guard: Kafka's door",
        "§2.3, F4: after a lost session the member id is empty, the generation unchanged",
        (
            Edit(
                "pmstream/runtime/kafka_consumer.py",
                "if generation < 0 or not member:",
                "if generation < 0:",
            ),
        ),
    ),
    Mutation(
        "3 no metadata guard: sequence",
        "I2: restored means position and sequence; retries move state, not the position",
        (
            Edit(
                CHANGELOG,
                "return (self.source, str(self.sequence)) == "
                "(committed.position, committed.metadata)",
                "return self.source == committed.position",
            ),
        ),
    ),
    Mutation(
        "4 offsets outside the transaction",
        "§2.4: offsets in a transaction of their own, after the commit",
        (
            Edit(COMMIT, _OFFSETS, ""),
            Edit(
                COMMIT,
                "\n" + _ACKNOWLEDGE,
                "\n    producer.begin()\n"
                + _OFFSETS.replace("        ", "    ")
                + "    _repeat(lambda: producer.commit(_CALL_SECONDS), clock, until)\n"
                + _ACKNOWLEDGE,
            ),
        ),
    ),
    Mutation(
        "5 poll with an open transaction",
        "I4: a poll between send_offsets and commit may revoke what is being committed",
        (
            Edit(
                WORKER,
                "                self._probe,\n",
                "                lambda step: [\n"
                "                    self._probe(step),\n"
                '                    step == "commit" and self._consumer.gather(0, 0.0),\n'
                "                ][0],\n",
            ),
        ),
    ),
    Mutation(
        "6 retry after an unknown commit",
        "§5: the outcome is unknown: positions must be read before anything is done again",
        (Edit(WORKER, "self.stage.restart(self._consumer)", "self.stage.rollback()"),),
    ),
    Mutation(
        "7 no commit record",
        "I2: every transaction that touches a partition ends with its commit record",
        (
            Edit(COMMIT, "    if last is not None:\n", "    if False and last is not None:\n"),
            Edit(
                SHARE,
                "self._partition.acknowledged(self._record, offset)",
                "self._partition.acknowledged(self._record, offset or 0)",
            ),
            Edit(SHARE, "        assert offset is not None,", "        assert True,"),
        ),
    ),
    Mutation(
        "8 goes on after lost",
        "I6: what was lost belongs to somebody else, with all that is staged",
        (
            Edit(
                WORKER,
                '        """As revoked: somebody else may own them already."""\n'
                "        self.revoked(partitions)\n",
                '        """As revoked: somebody else may own them already."""\n',
            ),
        ),
    ),
    Mutation(
        "8 goes on after revoked",
        "I6: what was revoked belongs to somebody else, with all that is staged",
        (
            Edit(
                WORKER,
                'no transaction is open here."""\n        self.stage.dropped(partitions)\n',
                'no transaction is open here."""\n',
            ),
        ),
    ),
    Mutation(
        "9 random transactional id",
        "§4: a restarted worker frees its own leftovers because its id is stable",
        (
            Edit(
                "pmstream/runtime/roles.py",
                "Identity(names.group(role), names.transactional_id(role, name), name)",
                "Identity(names.group(role), names.transactional_id(role, name)"
                ' + __import__("uuid").uuid4().hex, name)',
            ),
        ),
    ),
    Mutation(
        "10 purge beyond committed",
        "§6: never above the committed position, however old",
        (Edit("pmstream/runtime/purge.py", "below = min(committed, young)", "below = young"),),
    ),
    Mutation(
        "10 purge what is staged",
        "§6: what was handled and not committed may still abort",
        (
            Edit(
                STAGE,
                "self._purge.partition(part.source, part.position)",
                "self._purge.partition(part.source, part.position + part._cursor)",
            ),
        ),
    ),
)
