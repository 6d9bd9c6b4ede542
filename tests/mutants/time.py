"""Bugs of time and replies: timers that fire wrongly, replies that are lost or read for ever."""

from tests.mutants.mutation import CHANGELOG, DESK, PARTITION, SHARE, Edit, Mutation

ENGINE = "pmstream/core/engine.py"

TIME = (
    Mutation(
        "a replaced timer fires at its old time",
        "core §1: a due hint is only a hint, the instance is asked whether it holds",
        (
            Edit(
                ENGINE,
                "if timer is not None and timer.due <= now:",
                "if timer is not None:",
            ),
        ),
    ),
    Mutation(
        "a cancelled timer fires from the queue",
        "core §2: a queued timer whose (due, n) is no longer set is dropped at its turn",
        (
            Edit(
                "pmstream/core/handling.py",
                "if life is None or is_set is None or "
                "(is_set.due, is_set.n) != (timer.due, timer.n):",
                "if life is None or is_set is None:",
            ),
        ),
    ),
    Mutation(
        "a restore brings no due hints",
        "core §1: the due index is derived in the same batch, also when a store is restored",
        (
            Edit(
                CHANGELOG,
                "    changes.update(_due_hints(changes))\n",
                "",
            ),
        ),
    ),
    Mutation(
        "replies have no position",
        "I2: the commit record holds how far the replies are read",
        (Edit(SHARE, "replies=position.replies,", "replies=0,"),),
    ),
    Mutation(
        "replies of an aborted batch are done with",
        "§2.5: what was taken counts after the acknowledgement only",
        (
            Edit(
                PARTITION,
                "self.replies, self.orders):\n            each.back()",
                "self.orders):\n            each.back()",
            ),
        ),
    ),
    Mutation(
        "orders have no position",
        "I2: the commit record holds how far the orders are read",
        (Edit(SHARE, "orders=position.orders,", "orders=0,"),),
    ),
    Mutation(
        "orders of an aborted batch are done with",
        "§2.5: what was taken counts after the acknowledgement only",
        (Edit(DESK, "        self.feed.back()\n", ""),),
    ),
    Mutation(
        "a pause that was aborted stays",
        "§2.5: what was taken counts after the acknowledgement only",
        (Edit(DESK, "        self.paused = self._was_paused\n", ""),),
    ),
)
