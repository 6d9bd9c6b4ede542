"""What a supervisor would tell of workers, as data, for those who judge and show it."""

from msgspec import Struct, field

from pmstream.runtime.child import Spec, View
from pmstream.runtime.vitals import Condition, Part, Values, Vitals


class Told(Struct):
    """A supervisor at one moment."""

    workers: list[View] = field(default_factory=list)
    stopped: dict[str, str] = field(default_factory=dict)
    is_stopping: bool = False
    silence_s: float = 0.0

    def views(self) -> list[View]:
        return self.workers


def part(
    condition: Condition = Condition.RUNNING, why: str = "", number: int = 0, **values: float
) -> Part:
    """A partition of the inbox."""
    told: Values = {**values}
    return Part("bank.pay.inbox", number, condition, why, told)


def worker(
    *parts: Part,
    joined: bool = True,
    runs: bool = True,
    done: bool = False,
    silence_s: float = 0.0,
    end: str = "",
    role: str = "instances",
    values: Values | None = None,
) -> View:
    """A worker that has told of these partitions."""
    vitals = Vitals(joined=joined, parts=list(parts), values=values or {})
    return View(
        spec=Spec("pay", role, "host-1"),
        runs=runs,
        done=done,
        starts=1,
        stalls=0,
        silence_s=silence_s,
        vitals=vitals if runs else None,
        end=end,
    )


def silent() -> View:
    """A worker that runs and has not told of itself."""
    return View(Spec("pay", "instances", "host-1"), True, False, 1, 0, 0.0, None, "")
