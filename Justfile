# Run as `./dev RECIPE`, which brings everything needed. Recipes pass their arguments on.
set positional-arguments

export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

# Test processes; each that meets a test marked `kafka` starts its own broker.
workers := env("TEST_WORKERS", "2")

# List the recipes
@_default:
    just --list --unsorted

# Watch transfers finish exactly once on a real Kafka while a worker is killed
[no-exit-message]
@demo *args:
    pmstream demo "$@"

# Everything fails at random under load, then the topics are verified: --minutes 10 --brokers 3
[no-exit-message]
@chaos *args:
    pmstream dev chaos "$@"

# Everything CI checks: format, lint, types, imports, then all tests
[no-exit-message]
test *args: lint types imports
    @pytest -n {{ workers }} --dist worksteal "$@"

# Tests that need no broker
[no-exit-message]
@unit *args:
    pytest -n {{ workers }} --dist worksteal -m "not kafka" "$@"

# Tests on the embedded Kafka
[no-exit-message]
@kafka *args:
    pytest -m kafka "$@"

# Commanded's behaviours one by one, in memory and on the embedded Kafka, as a table
[no-exit-message]
conformance *args:
    @pytest -p tests.conformance.table -p no:randomly tests/conformance "$@"

# About an hour of what the other recipes only sample: every part ends with its figures
[no-exit-message]
soak: && mutations
    PMSTREAM_TEST_SOAK=1 PMSTREAM_TEST_SCHEDULES=10000 pytest -n {{ workers }} --dist worksteal tests/simulation --durations=3
    PMSTREAM_TEST_SOAK=1 pytest -n {{ workers }} --dist worksteal tests/contract tests/faults --durations=10
    pmstream dev chaos --minutes 10 --workers 3 -o json
    pmstream dev chaos --minutes 10 --workers 3 --brokers 3 -o json

# pmstream beside its peers on one broker: --quick, --peer quix, --runs 3, -o json
[no-exit-message]
@bench *args:
    python -m bench "$@"

# Plants one protocol bug after another in a copy, and shows that the tests catch each: --jobs 2
[no-exit-message]
@mutations *args:
    python -m tests.mutations "$@"

# Formatting and lint rules
[no-exit-message]
lint:
    ruff format --check
    ruff check

# Types, strictly
[no-exit-message]
types:
    mypy

# Who may import whom
[no-exit-message]
imports:
    lint-imports --no-logo

# Format, and mend what lint can mend
fmt:
    ruff format
    ruff check --fix

# Lock the development requirements anew; `just lock --upgrade` moves to the newest versions
lock *args:
    uv pip compile --system-certs pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --output-file requirements/dev.lock "$@"

# The chart without a cluster: rendered in every mode, held to schemas and policies, alerts tested
[no-exit-message]
@helm-check *args:
    pytest -n {{ workers }} --dist loadfile tests/deployment/helm "$@"

# Write the chart's table of values anew
@helm-readme:
    python -m tests.deployment.helm.values_table

# Build the wheel and the source distribution into dist/
build:
    python -m build
