"""What the doctor is told of an app, and what of it all checks ask for."""

from collections.abc import Iterator

from msgspec import Struct

from pmstream.app import App, Names
from pmstream.config import Settings
from pmstream.operate import topics
from pmstream.operate.topics import Role
from pmstream.runtime.clock import Clock
from pmstream.runtime.generations import everyone
from pmstream.runtime.log import Log
from pmstream.runtime.survey import Survey


class Case(Struct, frozen=True):
    """An app and what it runs on.

    Attributes:
        app: whose process managers.
        settings: of the deployment.
        log: the cluster.
        survey: the same cluster, asked about itself.
        clock: that of this machine.
        name: of the app on the command line, for remedies.
        scratch: whether a topic and a group may be made for a round trip, and deleted again.
    """

    app: App
    settings: Settings
    log: Log
    survey: Survey
    clock: Clock
    name: str = "APP"
    scratch: bool = True

    @property
    def prefix(self) -> str:
        """What the names of the doctor's own topics, groups and transactional ids begin with."""
        return f"{self.app.name}.doctor"

    def names(self) -> Iterator[Names]:
        """Of each process manager's live generation."""
        yield from everyone(self.log, self.app)

    def groups(self) -> Iterator[tuple[Names, str]]:
        """Each process manager with each of its roles."""
        for names in self.names():
            for role in self.app.roles(names.process_manager):
                yield names, role

    def input(self, names: Names) -> str:
        """The topic whose partitions an instances worker owns."""
        return self.app.manager(names.process_manager).keyed or names.inbox

    def topics(self, *roles: Role) -> dict[str, Role]:
        """Topics of the app that play these roles (none: any), whether they exist or not."""
        everything = topics.named(self.app, self.names())
        return {name: role for role, name in everything if role in (roles or Role)}
