# The operator's image. What is installed in it comes from a lock file with hashes. The final stage has no compiler, and its
# environment no pip; it runs as nobody in particular and writes nothing, so a read-only root filesystem suits it.
#
#   docker build -t isvcwatch:0.1.0 .

# One image for both stages: a virtual environment points to the Python that it was made with.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The environment has no pip of its own: the build's pip fills it from outside.
RUN python3 -m venv --without-pip /opt/isvcwatch && python3 -m venv /opt/build
COPY requirements/build.txt requirements/operator.txt requirements/
# Wheels only: no package runs code of its own while it is installed, and none needs a compiler.
RUN /opt/build/bin/pip --python /opt/isvcwatch/bin/python install --require-hashes --only-binary :all: -r requirements/operator.txt \
    && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
# No build isolation: it would fetch a build backend that no hash has vouched for.
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/pip --python /opt/isvcwatch/bin/python install --no-deps --no-index dist/*.whl

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="isvcwatch" \
      org.opencontainers.image.description="Asks every KServe model from outside whether it really answers, and says so on the object." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Bytecode was compiled above and can't be written here; log lines leave at once, also when the process is killed.
ENV PATH=/opt/isvcwatch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/isvcwatch /opt/isvcwatch
WORKDIR /
# A number: the kubelet can't tell that a name isn't root, and runAsNonRoot then refuses the container.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["isvcwatch"]
CMD ["run"]
