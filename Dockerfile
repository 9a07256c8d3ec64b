# A server of models, as a user without rights. Models and keys come from outside: mount them, or copy them in.
#   docker build -t spago-jax .
#   docker run -p 8000:8000 -v "$PWD/runs:/models:ro" spago-jax /models/quickstart --insecure
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY spago_jax spago_jax
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir '.[serve]'

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 spago && mkdir /cache && chown spago /cache
COPY --from=build /venv /venv
# Compiled programs outlive the container where this is a volume: the next start is quick.
ENV PATH=/venv/bin:$PATH SPAGO_CACHE=/cache SPAGO_HOST=0.0.0.0 SPAGO_PORT=8000 PYTHONUNBUFFERED=1
VOLUME /cache
USER 10001
EXPOSE 8000 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["spago-jax", "serve"]
