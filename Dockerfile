# pmstream with its command line. Your App goes on top:
#   FROM pmstream:0.1.0
#   COPY --chown=root:root bank /app/bank
# and `pmstream run bank.payments:app` finds it, because /app is the working directory.
ARG PYTHON=3.13

# Not slim: it has a compiler, for the codec of pmstream; the same Debian and Python as below.
FROM python:${PYTHON} AS build
WORKDIR /src
RUN python -m venv /opt/pmstream
# The locked packages change rarely: a layer of their own. All are wheels.
COPY requirements/image.lock requirements/
RUN /opt/pmstream/bin/pip install --no-cache-dir --only-binary=:all: --require-hashes -r requirements/image.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY avro avro
COPY pmstream pmstream
RUN /opt/pmstream/bin/pip install --no-cache-dir --no-deps . \
    && /opt/pmstream/bin/python -m compileall -q /opt/pmstream/lib \
    && /opt/pmstream/bin/pip uninstall --yes --quiet pip

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="pmstream" \
      org.opencontainers.image.description="Process managers (sagas) on Apache Kafka, exactly once" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 pmstream \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin pmstream \
    && install -d -o 10001 -g 10001 /var/lib/pmstream \
    && install -d /app
COPY --from=build /opt/pmstream /opt/pmstream
ENV PATH=/opt/pmstream/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PMSTREAM_STATE_DIR=/var/lib/pmstream
WORKDIR /app
USER 10001:10001
EXPOSE 9464
ENTRYPOINT ["pmstream"]
CMD ["--help"]
