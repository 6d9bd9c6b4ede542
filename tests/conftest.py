"""What every test shares: the Hypothesis profiles, and the clusters in memory and on Kafka."""

import os
from importlib.util import find_spec

from hypothesis import HealthCheck, settings

# A deadline measures the machine, not the code; a slow data strategy on a busy machine likewise.
settings.register_profile(
    "dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
# The same examples on every run, and more of them: CI reports what a change did, not luck.
settings.register_profile("ci", settings.get_profile("dev"), max_examples=200, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

pytest_plugins = ["tests.memory_fixture", "tests.flat_fixture"]
if find_spec("tests.kafka_fixture"):
    pytest_plugins.append("tests.kafka_fixture")
