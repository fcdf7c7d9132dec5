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
        migrations.AddConstraint(
            model_name='limit',
            constraint=models.CheckConstraint(condition=models.Q(('value__gt', float('-inf')), ('value__lt', float('inf'))), name='limit_value', violation_error_message='The value is a number.'),
        ),
        migrations.AddConstraint(
            model_name='senderabsence',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('organization', 'api_key'), name='senderabsence_open_once'),
        ),
        migrations.AddConstraint(
            model_name='senderabsence',
            constraint=models.UniqueConstraint(condition=models.Q(('api_key__isnull', True), ('ended_at__isnull', True)), fields=('organization',), name='senderabsence_of_all_open_once'),
        ),
    ]
