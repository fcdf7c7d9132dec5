from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('maintenance', '0004_plots_of_replays'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='maintenancetask',
            constraint=models.CheckConstraint(condition=models.Q(('due_at__isnull', True), ('parked_at__isnull', True), _connector='OR'), name='maintenancetask_waits_or_is_parked'),
        ),
        migrations.AddConstraint(
            model_name='replayrun',
            constraint=models.CheckConstraint(condition=models.Q(('due_at__isnull', True), ('parked_at__isnull', True), _connector='OR'), name='replayrun_waits_or_is_parked'),
        ),
    ]
