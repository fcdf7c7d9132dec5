import os

import structlog
from django.db import migrations

from sensors.storage.kinds import Hypertable, kind
from sensors.storage.kinds.conversion import create_timescale, has_timescale, to_hypertable, to_partitions

log = structlog.get_logger(__name__)


def to_what_the_server_has(apps, schema_editor):
    connection = schema_editor.connection
    if os.environ.get("SMARTMAINT_TIMESCALE", "1") == "0" or not has_timescale(connection):
        return
    if obstacle := create_timescale(connection):
        log.warning("readings_stay_in_monthly_partitions", because=obstacle)
    else:
        to_hypertable(connection)


def back_to_partitions(apps, schema_editor):
    if isinstance(kind(), Hypertable):
        to_partitions(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("sensors", "0003_ingest_for_real_clients")]

    operations = [migrations.RunPython(to_what_the_server_has, back_to_partitions)]
