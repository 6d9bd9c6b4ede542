"""A pytest plugin: the table of behaviours, memory and Kafka (`-p tests.conformance.table`)."""

import re
import textwrap

import pytest

_KAFKA = re.compile(r"\[kafka\b.*\]$|\[.*-kafka\]$")
_WIDTH = 92


class Table:
    """Collects what became of each case."""

    def __init__(self) -> None:
        self.sections: dict[str, dict[str, dict[str, str]]] = {}
        self._titles: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Remembers each module's title."""
        for item in items:
            module = getattr(item, "module", None)
            self._titles[item.nodeid.partition("::")[0]] = (
                (getattr(module, "__doc__", None) or "").strip().splitlines() or [""]
            )[0].rstrip(".")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One cell."""
        if report.when != "call" and report.outcome == "passed":
            return
        path, _, name = report.nodeid.partition("::")
        tier = "Kafka" if _KAFKA.search(name) else "memory"
        sentence = re.sub(r"\[(memory|kafka)\]", "", name).removeprefix("test_").replace("_", " ")
        cells = self.sections.setdefault(self._titles.get(path, path), {}).setdefault(sentence, {})
        cells[tier] = "ok" if report.outcome == "passed" else report.outcome.upper()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints the table."""
        write = terminalreporter.write_line
        count = sum(len(rows) for rows in self.sections.values())
        write("")
        write(f"{'behaviour':<{_WIDTH}} {'memory':<8} Kafka")
        for title in sorted(self.sections):
            write("")
            write(title, bold=True)
            for sentence, cells in self.sections[title].items():
                first, *rest = textwrap.wrap(sentence, _WIDTH - 2)
                memory, kafka = cells.get("memory", "-"), cells.get("Kafka", "-")
                write(f"  {first:<{_WIDTH - 2}} {memory:<8} {kafka}")
                for line in rest:
                    write(f"  {line}")
        write("")
        write(f"{count} behaviours")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the table."""
    config.pluginmanager.register(Table(), "conformance-table")
