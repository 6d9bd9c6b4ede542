# Run as `./dev RECIPE`, which brings everything needed. Recipes pass their arguments on.
set positional-arguments

export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

# Test processes: more than two cores, for they wait half of their time, for Kafka or until a session
# ends. Each that meets a test marked `kafka` starts its own broker.
workers := env("TEST_WORKERS", "3")

# What `just topics` and `just run` are about: module:attribute
app := env("APP", "pmstream.examples.transfer:app")

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

# The incident drill of docs/drill.md on the embedded Kafka, and what the doctor must find
[no-exit-message]
drill *args:
    @pytest -p no:randomly tests/drill tests/operate/doctor "$@"

# The simulation tells no stacks in mid-run: Python 3.11 may die of telling those of a thread that runs on.
# About an hour of what the other recipes only sample: every part ends with its figures
[no-exit-message]
soak: && mutations
    PMSTREAM_TEST_SOAK=1 PMSTREAM_TEST_SCHEDULES=10000 pytest -n {{ workers }} --dist worksteal tests/simulation --durations=3 -o faulthandler_timeout=0
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

compile := "uv pip compile --system-certs --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet"

# Lock requirements anew, of development, the image, the deployment checks and the book; `just lock --upgrade` moves to the newest versions
lock *args:
    {{ compile }} pyproject.toml --extra dev --output-file requirements/dev.lock "$@"
    {{ compile }} pyproject.toml --extra otlp --constraint requirements/dev.lock --output-file requirements/image.lock "$@"
    {{ compile }} requirements/deploy.in --output-file requirements/deploy.lock "$@"
    {{ compile }} requirements/docs.in --output-file requirements/docs.lock "$@"
    {{ compile }} requirements/supply.in --output-file requirements/supply.lock "$@"

# Bill of materials (CycloneDX) of the image and the embedded Kafka: just sbom [FILE], else into dist/
[no-exit-message]
@sbom *args:
    python -m tests.supply sbom "$@"

# What is known against the locked packages; exit code 69 where the registry in use does not tell
[no-exit-message]
@audit *args:
    python -m tests.supply audit "$@"

# The book as a site, built strictly into site/, then its snippets and what it takes from the code
[no-exit-message]
@docs *args:
    python -m tests.book.site
    pytest -n {{ workers }} --dist loadfile -m "not kafka" tests/book "$@"

# The book while you write, on localhost:8000, until Ctrl-C
[no-exit-message]
@docs-serve *args:
    python -m tests.book.site serve "$@"

# The chart without a cluster: rendered in every mode, held to schemas and policies, alerts tested
[no-exit-message]
@helm-check *args:
    pytest -n {{ workers }} --dist loadfile tests/deployment/helm "$@"

# The chart in a real Kubernetes API server, built from its Go modules (about 8 CPU-minutes, once)
[no-exit-message]
@helm-apiserver *args:
    PMSTREAM_TEST_APISERVER=1 pytest -p no:randomly tests/deployment/helm/test_apiserver.py "$@"

# Write the chart's table of values anew
@helm-readme:
    python -m tests.deployment.helm.values_table

# The compose file in every profile, and the Dockerfile, without Docker
[no-exit-message]
@compose-check *args:
    pytest tests/deployment/test_compose.py tests/deployment/test_image.py "$@"

# The wheel, installed far from here: version, data, types, shell completion, and its demo on a real Kafka
[no-exit-message]
@package-check *args:
    pytest tests/deployment/test_package.py "$@"

# Kafka, topics and Jaeger in containers; `just up app obs ui` for more, or cluster
[no-exit-message]
@up *profiles:
    compose/stack up "$@"

# Make the app's topics (on localhost:9092; APP and PMSTREAM_BOOTSTRAP_SERVERS name others)
[no-exit-message]
@topics *args:
    pmstream topics ensure {{ app }} --create-missing --yes "$@"

# Run the app on this machine until Ctrl-C, traced
[no-exit-message]
@run *args:
    PMSTREAM_STATE_DIR="${PMSTREAM_STATE_DIR:-.pmstream/state}" PMSTREAM_TRACING="${PMSTREAM_TRACING:-on}" pmstream run {{ app }} "$@"

# Ask for some transfers of money, for the example app, traced
[no-exit-message]
@produce count="1":
    python compose/transfers.py {{ count }} | PMSTREAM_TRACING="${PMSTREAM_TRACING:-on}" pmstream produce pmstream.examples.transfer:app bank.transfers --type MoneyTransferRequested --key debit_account --file -

# Traces in a real Jaeger, built from its Go modules (about 6 CPU-minutes, once)
[no-exit-message]
@trace-check *args:
    PMSTREAM_TEST_JAEGER=1 pytest tests/deployment/test_jaeger.py "$@"

# The traces of a process, from Jaeger: just trace UUID
[no-exit-message]
@trace uuid service="bank":
    python compose/trace.py {{ service }} {{ uuid }}

# End what `just up` started; `just down --volumes` forgets what Kafka held
[no-exit-message]
@down *args:
    compose/stack down "$@"

# Build the wheel and the source distribution into dist/
build:
    python -m build
