"""How the demo tells what happens: bars on a terminal, plain lines elsewhere; all to stderr."""

from collections import deque

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from pmstream.cli import demo_run

LINE_SECONDS = 2.0
"""Between two plain lines."""

_RATE_SECONDS = 3.0


class Rate:
    """Transfers completed a second, over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, progress: demo_run.Progress) -> float:
        """The rate at this moment."""
        seen = self._seen
        seen.append((progress.seconds, progress.completed))
        while len(seen) > 2 and progress.seconds - seen[1][0] > _RATE_SECONDS:
            seen.popleft()
        (since, before), (now, after) = seen[0], seen[-1]
        return (after - before) / (now - since) if now > since else 0.0


def state(progress: demo_run.Progress, rate: float) -> str:
    """The moment in one line."""
    lags = " ".join(f"{who} {lag}" for who, lag in progress.lags.items())
    return f"{rate:,.0f}/s · to handle: {lags} · kills {progress.kills}"


class Lines(demo_run.Show):
    """Plain lines, one in a while."""

    def __init__(self, console: Console) -> None:
        self._console, self._rate, self._next = console, Rate(), 0.0

    def say(self, text: str) -> None:
        """Prints it."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def progress(self, progress: demo_run.Progress) -> None:
        """Prints a line when it is time for one."""
        rate = self._rate.of(progress)
        done = progress.completed == progress.total
        if progress.seconds < self._next:
            return
        self._next = float("inf") if done else progress.seconds + LINE_SECONDS
        self.say(
            f"{progress.seconds:5.1f} s  sent {progress.sent}, started {progress.started}, "
            f"completed {progress.completed} of {progress.total} · {state(progress, rate)}"
        )


class Bars(demo_run.Show):
    """Three bars that live, and the moment below them."""

    def __init__(self, console: Console) -> None:
        self._rate = Rate()
        self._bars = Progress(
            TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), console=console
        )
        self._tasks = {
            each: self._bars.add_task(each, total=None, visible=False)
            for each in ("sent", "started", "completed")
        }
        self._live = Live(console=console, refresh_per_second=8)
        self._live.start()

    def say(self, text: str) -> None:
        """Prints it above the bars."""
        self._live.console.print(text, markup=False, highlight=False)

    def progress(self, progress: demo_run.Progress) -> None:
        """Moves the bars."""
        for name, task in self._tasks.items():
            done = getattr(progress, name)
            self._bars.update(task, completed=done, total=progress.total, visible=True)
        now = Text(f"{progress.seconds:7.1f} s  {state(progress, self._rate.of(progress))}")
        self._live.update(Group(self._bars, now))

    def close(self) -> None:
        """Leaves the bars as they are."""
        self._live.stop()


def make_show() -> demo_run.Show:
    """What fits standard error."""
    console = Console(stderr=True)
    return Bars(console) if console.is_terminal else Lines(console)
