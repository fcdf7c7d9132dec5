import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sensors", "0001_initial")]

    operations = [
        # A part of a composite key cannot be renamed by RenameField: the key would keep the old name.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE sensors_hourlyrollup RENAME COLUMN hour TO started_at",
                    "ALTER TABLE sensors_hourlyrollup RENAME COLUMN started_at TO hour",
                )
            ],
            state_operations=[
                migrations.DeleteModel("HourlyRollup"),
                migrations.CreateModel(
                    name="HourlyRollup",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "sensor_id",
                                "started_at",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("started_at", models.DateTimeField()),
                        ("count", models.PositiveIntegerField()),
                        ("mean", models.FloatField()),
                        ("minimum", models.FloatField()),
                        ("maximum", models.FloatField()),
                        (
                            "sensor",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="sensors.sensor",
                            ),
                        ),
                    ],
                    options={"ordering": ["sensor_id", "started_at"], "abstract": False},
                ),
            ],
        )
    ]
