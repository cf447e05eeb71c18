"""Settings of a Pulp on loopback. PULP_SETTINGS names this file, LAB_PULP the folder of all that it writes.

Where the database listens and how often a worker beats is said as to every Pulp, for example by
PULP_DATABASES__default__PORT=5432 and PULP_WORKER_TTL=6.
"""

import os
from pathlib import Path

DEPLOY_ROOT = Path(os.environ["LAB_PULP"])
MEDIA_ROOT = str(DEPLOY_ROOT / "media")
STATIC_ROOT = DEPLOY_ROOT / "assets"
WORKING_DIRECTORY = DEPLOY_ROOT / "tmp"
FILE_UPLOAD_TEMP_DIR = WORKING_DIRECTORY
DB_ENCRYPTION_KEY = str(DEPLOY_ROOT / "key")

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": 5432,
        "NAME": "pulp",
        "USER": "pulp",
        "PASSWORD": "s3cret-of-pulp",
        # Pulp's own value. A worker's connection lives as long as the worker all the same.
        "CONN_MAX_AGE": 0,
    }
}

SECRET_KEY = "of nobody"
CONTENT_ORIGIN = "http://127.0.0.1"
# Workers do nothing by themselves: no clean-up of content that nobody has.
ORPHAN_PROTECTION_TIME = 0
# It would make a scheduled task that posts to the Internet.
ANALYTICS = False
