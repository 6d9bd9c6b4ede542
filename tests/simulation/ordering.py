"""Operators' orders in a schedule: such as change nothing of what must come out."""

from random import Random

from pmstream.core.orders import Order, Verb
from pmstream.runtime.orders import order_record
from tests.simulation.cluster import Cluster
from tests.simulation.shape import Shape

_VERBS = (Verb.PAUSE, Verb.RESUME, Verb.RESUME, Verb.CANCEL, Verb.EDIT)
"""The last two are refused: there is no such timer, no such field."""


def order_words(random: Random, shape: Shape) -> str:
    """`order VERB PROCESS PARTITION`: it may be the wrong partition."""
    return f"{random.choice(_VERBS)} {random.choice('abcz')} {random.randrange(shape.inbox)}"


def order(cluster: Cluster, words: list[str]) -> bool:
    """An operator gives an order."""
    verb, process, partition = Verb(words[0]), words[1], int(words[2])
    cluster.events += 1
    id, uuid = str(cluster.events), "" if verb in (Verb.PAUSE, Verb.RESUME) else process
    made = Order(id=id, verb=verb, process_uuid=uuid, arguments={"name": "?", "set": {"?": 1}})
    out = order_record(cluster.names.orders, made, partition)
    writer = cluster.log.writer()
    writer.produce(out.topic, out.value, out.key, out.headers, out.partition)
    writer.flush(1)
    return True


def resume_all(cluster: Cluster) -> None:
    """Whatever was ordered, all goes on."""
    for number in range(cluster.shape.inbox):
        order(cluster, [Verb.RESUME, "", str(number)])
