from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('notifications', '0001_initial'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='notification',
            constraint=models.CheckConstraint(condition=models.Q(('due_at__isnull', True), ('parked_at__isnull', True), _connector='OR'), name='notification_waits_or_is_parked'),
        ),
    ]
