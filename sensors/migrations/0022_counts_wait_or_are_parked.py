from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sensors', '0021_unanswered_since'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='eventcount',
            constraint=models.CheckConstraint(condition=models.Q(('due_at__isnull', True), ('parked_at__isnull', True), _connector='OR'), name='eventcount_waits_or_is_parked'),
        ),
    ]
