from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0003_closed_horizons'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='prediction',
            constraint=models.CheckConstraint(condition=models.Q(('due_at__isnull', True), ('parked_at__isnull', True), _connector='OR'), name='prediction_waits_or_is_parked'),
        ),
        migrations.AddConstraint(
            model_name='predictionoutcome',
            constraint=models.CheckConstraint(condition=models.Q(('due_at__isnull', True), ('parked_at__isnull', True), _connector='OR'), name='predictionoutcome_waits_or_is_parked'),
        ),
        migrations.AddConstraint(
            model_name='prediction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'pending'), _negated=True), ('due_at__isnull', False), ('parked_at__isnull', False), _connector='OR'), name='prediction_pending_is_in_its_queue'),
        ),
    ]
