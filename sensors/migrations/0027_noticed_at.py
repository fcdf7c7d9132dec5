from django.db import migrations, models

import smartmaint.clock


class Migration(migrations.Migration):

    dependencies = [
        ('sensors', '0026_alarms_that_come_back'),
    ]

    operations = [
        migrations.AddField(
            model_name='anomaly',
            name='noticed_at',
            field=models.DateTimeField(default=smartmaint.clock.now, help_text='Of an excursion: when that reading was measured at which it was certain enough; it may have come later.'),
        ),
        # Until then the two were one.
        migrations.RunSQL(
            "UPDATE sensors_anomaly SET noticed_at = detected_at",
            migrations.RunSQL.noop,
        ),
    ]
