# One image for every process of the hotline; docker-compose.yml says which one a container runs.
FROM python:3.11-slim-bookworm AS build
# A compiler for processors that a dependency has no wheel for; it stays in this stage.
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements-build.lock requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-build.lock \
    && pip wheel --no-cache-dir --require-hashes --no-build-isolation -w /wheels -r requirements.lock
COPY . .
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation -w /wheels . \
    && python -m venv --without-pip /opt/hotline \
    && pip --python /opt/hotline/bin/python install --no-cache-dir --no-index --no-deps /wheels/*.whl

FROM python:3.11-slim-bookworm
# ffmpeg reads and compresses recordings and exports MP3; Pango and the letters are for reports as PDF.
RUN apt-get update && apt-get install -y --no-install-recommends \
    ffmpeg fonts-noto-cjk libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 && rm -rf /var/lib/apt/lists/*
# A named volume takes over the owner of the directory that it is first mounted on.
RUN groupadd --gid 10001 hotline \
    && useradd --uid 10001 --gid hotline --home-dir /var/lib/hotline --no-create-home --shell /usr/sbin/nologin hotline \
    && cd /var/lib && install -d -o hotline -g hotline -m 0750 \
        hotline hotline/spool hotline/recordings hotline/certificates hotline/site
COPY --from=build /opt/hotline /opt/hotline
ENV PATH=/opt/hotline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOTLINE_DATA_DIR=/var/lib/hotline
WORKDIR /var/lib/hotline
USER hotline
STOPSIGNAL SIGTERM
# Without a command a container is a whole hotline on SQLite, for a look; docker-compose.yml runs one process each.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["hotline", "doctor"]
CMD ["hotline", "serve"]
