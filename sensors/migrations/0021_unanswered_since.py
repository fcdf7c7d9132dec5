from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('sensors', '0020_constraints'),
    ]

    operations = [
        migrations.AddField(
            model_name='alarm',
            name='unanswered_since',
            field=models.DateTimeField(blank=True, editable=False, help_text='When people were called first of those calls that nobody answered yet.', null=True),
        ),
        migrations.RunSQL(
            "UPDATE sensors_alarm SET unanswered_since = annunciated_at WHERE acknowledged_at IS NULL",
            migrations.RunSQL.noop,
        ),
        migrations.AddConstraint(
            model_name='validationrule',
            constraint=models.CheckConstraint(condition=models.Q(('fact__in', ['kind', 'pattern', 'direction', 'level', 'quantity', 'criticality', 'equipment_state', 'score', 'duration_minutes', 'good_share', 'jump_sigmas', 'hours_since_repair', 'silent_share', 'events_around', 'events_before', 'events_after', 'hours_to_event', 'other_sensors', 'sister_machines', 'sensor_faults'])), name='validationrule_fact'),
        ),
        migrations.AddConstraint(
            model_name='validationrule',
            constraint=models.CheckConstraint(condition=models.Q(('operator__in', ['is', 'is_not', 'at_least', 'below'])), name='validationrule_operator'),
        ),
    ]
