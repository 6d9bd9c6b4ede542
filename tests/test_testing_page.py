"""The snippets of docs/testing.md, run as they stand there; and the plugin is light."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "testing.md"


def test_the_snippets_of_the_page_are_tests_that_pass(tmp_path: Path) -> None:
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "test_page.py").write_text("\n\n".join(snippets))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_the_plugin_loads_nothing_heavy() -> None:
    code = "import pmstream.pytest_plugin, sys; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = set(done.stdout.split())
    assert not loaded & {"confluent_kafka", "fastavro", "rocksdict", "pmstream.testing"}
