from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sensors", "0022_counts_wait_or_are_parked")]

    operations = [
        migrations.AddField(
            model_name="alarm",
            name="escalated_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="When it went to the next role last.", null=True
            ),
        ),
        migrations.RunSQL(
            """
            UPDATE sensors_alarm SET escalated_at = told.at
            FROM (
                SELECT alarm_id, max(at) AS at FROM sensors_alarmentry WHERE kind = 'escalated' GROUP BY alarm_id
            ) told
            WHERE told.alarm_id = sensors_alarm.id AND escalations > 0
            """,
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "UPDATE sensors_anomaly SET expected_value = peak_value WHERE expected_value = 'NaN'",
            migrations.RunSQL.noop,
        ),
        migrations.AddConstraint(
            model_name="anomaly",
            constraint=models.CheckConstraint(
                # NaN is the greatest of all numbers to PostgreSQL.
                condition=models.Q(expected_value__isnull=True) | models.Q(expected_value__lte=1.7976931348623157e308),
                name="anomaly_expects_a_number",
            ),
        ),
    ]
