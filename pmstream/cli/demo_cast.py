"""Who plays in the demo: the transfer that takes it for done, or the one that asks for replies."""

from msgspec import Struct

from pmstream.app import App, Names
from pmstream.core.instance import Status, load_instance
from pmstream.examples import careful_transfer, transfer


class Cast(Struct, frozen=True):
    """A process manager, and what differs by it.

    Attributes:
        path: of its app, for workers.
        app: the same.
        names: of its topics.
        confirms: whether its commands ask for replies; then the bank refuses some.
    """

    path: str
    app: App
    names: Names
    confirms: bool

    def is_over(self, value: bytes | None) -> bool:
        """Whether an instance has ended, by its last changelog record.

        One that is confirmed leaves a mark, so that late news do not begin it anew.
        """
        if value is None or not self.confirms:
            return value is None
        return load_instance(value).status is Status.COMPLETED


PLAIN = Cast(
    "pmstream.examples.transfer:app",
    transfer.app,
    Names(transfer.app.name, transfer.TransferMoney.name),
    confirms=False,
)
CAREFUL = Cast(
    "pmstream.examples.careful_transfer:app",
    careful_transfer.app,
    Names(careful_transfer.app.name, careful_transfer.CarefulTransfer.name),
    confirms=True,
)
