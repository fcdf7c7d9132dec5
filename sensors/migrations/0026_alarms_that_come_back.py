import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('sensors', '0025_events_while_it_lasts'),
    ]

    operations = [
        migrations.AddField(
            model_name='alarm',
            name='abnormal_since',
            field=models.DateTimeField(default=django.utils.timezone.now, help_text='When its condition became abnormal, for the last time where it came and went.'),
            preserve_default=False,
        ),
        migrations.RunSQL("UPDATE sensors_alarm SET abnormal_since = raised_at", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='alarmentry',
            name='told_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='When people were sent a message of its own.', null=True),
        ),
        migrations.RunSQL(
            "UPDATE sensors_alarmentry SET told_at = at WHERE was_told",
            "UPDATE sensors_alarmentry SET was_told = true WHERE told_at IS NOT NULL",
        ),
        migrations.RemoveField(
            model_name='alarmentry',
            name='was_told',
        ),
        migrations.AddField(
            model_name='alarmflood',
            name='severity',
            field=models.CharField(choices=[('critical', 'Critical'), ('major', 'Major'), ('minor', 'Minor'), ('warning', 'Warning')], default='warning', help_text='The worst that people were told of.', max_length=10),
        ),
        migrations.AddConstraint(
            model_name='alarmflood',
            constraint=models.CheckConstraint(condition=models.Q(('severity__in', ['critical', 'major', 'minor', 'warning'])), name='alarmflood_severity'),
        ),
    ]
