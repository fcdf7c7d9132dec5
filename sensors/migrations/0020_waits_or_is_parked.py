from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sensors', '0019_event_rules'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='anomaly',
            constraint=models.CheckConstraint(condition=models.Q(('due_at__isnull', True), ('parked_at__isnull', True), _connector='OR'), name='anomaly_waits_or_is_parked'),
        ),
        migrations.AddConstraint(
            model_name='readingbatch',
            constraint=models.CheckConstraint(condition=models.Q(('due_at__isnull', True), ('parked_at__isnull', True), _connector='OR'), name='readingbatch_waits_or_is_parked'),
        ),
    ]
