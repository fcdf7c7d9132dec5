from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0004_pending_is_in_its_queue'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='prediction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'not_possible'), _negated=True), models.Q(('cutoff_at__isnull', False), ('made_at__isnull', False)), _connector='OR'), name='prediction_not_possible_has_time'),
        ),
        migrations.AddConstraint(
            model_name='prediction',
            constraint=models.CheckConstraint(condition=models.Q(('trigger__in', ['anomaly', 'person', 'period'])), name='prediction_trigger'),
        ),
        migrations.AddConstraint(
            model_name='prediction',
            constraint=models.CheckConstraint(condition=models.Q(('direction__in', ['', 'high', 'low'])), name='prediction_direction'),
        ),
    ]
