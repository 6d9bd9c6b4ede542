"""The services that commands go to: they answer as the commands say, sooner, later, or oddly.

Rule: a service says the same of a command however often it is asked.
"""

from random import Random

from pmstream.core.messages import ACCEPTED, COMMAND_ID, OUTCOME, PROCESS_UUID, REPLY_PARTITION
from pmstream.replies import Answer, accept, reject
from pmstream.runtime.log import Headers, Record
from tests.simulation.author import COMMANDS, Do, make_app, make_codec, verdict
from tests.simulation.cluster import Cluster
from tests.simulation.shape import Shape

REASON = "no"


def serve_words(random: Random, _shape: Shape) -> str:
    return f"{random.choices(HOW, (6, 3, 2, 2))[0]} {random.choice((1, 1, 3, 50))}"


HOW = ("once", "twice", "elsewhere", "oddly")
"""How a service replies: into another partition, too; or also with what is no reply to it."""


def verdict_of(value: bytes) -> str:
    """What the service of an encoded command does."""
    command = make_codec(make_app()).decode_command(COMMANDS, value)
    assert isinstance(command, Do)
    return verdict(command)


def serve(cluster: Cluster, words: list[str]) -> bool:
    """`serve HOW COUNT`: the oldest commands that were not answered yet."""
    served = False
    for number, records in sorted(cluster.archive.topic(COMMANDS).items()):
        first = cluster.answered[number]
        for record in records[first : first + int(words[1])]:
            cluster.answered[number] += 1
            served = _answer(cluster, record, words[0]) or served
    return served


def serve_all(cluster: Cluster) -> None:
    """Answers whatever there is."""
    serve(cluster, ["once", "1000000"])


def _answer(cluster: Cluster, record: Record, how: str) -> bool:
    said = verdict_of(record.value or b"")
    headers = dict(record.headers)
    answer = accept(headers) if said != "reject" else reject(headers, REASON)
    if answer is None:
        return False
    cluster.seen[f"reply {said} {how}"] += 1
    if how == "oddly":
        _oddly(cluster, answer, headers[PROCESS_UUID] or b"")
    if said == "silent":
        return True
    where = int(headers[REPLY_PARTITION] or b"0")
    if how == "elsewhere":
        where = (where + 1) % cluster.shape.inbox
    for _ in range(2 if how == "twice" else 1):
        _write(cluster, answer, answer.key, answer.headers, where)
    return True


def _oddly(cluster: Cluster, answer: Answer, process: bytes) -> None:
    """Another process's id, no id, no outcome, not UTF-8: nothing may come of it."""
    (_, id), (_, outcome) = answer.headers
    other = bytes([process[0] + 1]) if process < b"h" else b"a"
    for key, headers in (
        (other, answer.headers),
        (process, ((COMMAND_ID, (id or b"") + b"~9"), (OUTCOME, ACCEPTED))),
        (process, ((OUTCOME, outcome),)),
        (process, ((COMMAND_ID, id), (OUTCOME, b"perhaps"))),
        (process, ((COMMAND_ID, b"\xff\xfe"), (OUTCOME, outcome))),
    ):
        _write(cluster, answer, key, headers, answer.partition)


def _write(cluster: Cluster, answer: Answer, key: bytes, headers: Headers, where: int) -> None:
    writer = cluster.log.writer()
    writer.produce(answer.topic, answer.value, key, headers, where)
    writer.flush(1)
