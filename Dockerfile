# One image for each of the service's processes: web, worker, beat, sweeper, migrate, manage.
#
#   docker build -t strata .
#   docker run --env-file … strata web
#
# `make image` runs these very lines without a container engine, in a folder and as an ordinary user.
# The root file system may be read-only: only STATE and RUNTIME are written to.

FROM python:3.13.14-slim-trixie AS build
ARG PREFIX=/opt/strata
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR ${PREFIX}
# Without pip in it: nothing is installed into an image that runs.
RUN python -m venv --without-pip venv
# Before the code, which changes more often.
COPY requirements.txt ./
RUN pip --python venv/bin/python install --only-binary :all: --require-hashes -r requirements.txt
COPY . ./app
# Nobody can write compiled code into it later.
RUN venv/bin/python -m compileall -q -j 0 app
# What is installed fits together, and the settings of production load.
WORKDIR ${PREFIX}/app
RUN pip --python ../venv/bin/python check && \
    SECRET_KEY="$(python -c 'import secrets; print(secrets.token_hex(32))')" ALLOWED_HOSTS=localhost \
    ARCHIVE_KEY="$(python -c 'import secrets; print(secrets.token_hex(32))')" \
    TRUSTED_PROXIES=1 ../venv/bin/python manage.py check --deploy --fail-level WARNING

FROM python:3.13.14-slim-trixie
ARG PREFIX=/opt/strata
ARG STATE=/var/lib/strata
ARG RUNTIME=/run/strata
ARG USER_ID=10001
ARG GROUP_ID=10001
LABEL org.opencontainers.image.title="Strata" \
      org.opencontainers.image.description="A messaging server over three tiers of storage" \
      org.opencontainers.image.licenses="Apache-2.0"
# The proxy's own folder too, so that a volume in its place is this user's.
RUN install -d -m 0750 -o ${USER_ID} -g ${GROUP_ID} ${STATE} ${STATE}/proxy ${RUNTIME}
COPY --from=build ${PREFIX} ${PREFIX}
ENV PATH=${PREFIX}/venv/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    HOME=${STATE} \
    DATA_DIR=${STATE} \
    HOST=0.0.0.0 \
    PORT=8000 \
    WEB_GRACE_SECONDS=20
WORKDIR ${PREFIX}/app
USER ${USER_ID}:${GROUP_ID}
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=8s --start-period=30s --retries=3 \
    CMD ["python", "-m", "config.process", "healthy", "web"]
ENTRYPOINT ["python", "-m", "config.process"]
CMD ["web"]
