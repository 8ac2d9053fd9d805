"""The Celery application: `celery -A config worker`, `celery -A config beat`."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import beat_init, worker_init

from config import signs, traced

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("strata")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
signs.listen(app)
worker_init.connect(traced.on_worker, weak=False)
beat_init.connect(traced.on_scheduler, weak=False)
