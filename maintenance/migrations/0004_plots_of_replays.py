from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('maintenance', '0003_replays'),
    ]

    operations = [
        migrations.AddField(
            model_name='replayrun',
            name='plots_page',
            field=models.TextField(blank=True, editable=False, help_text='HTML that needs nothing else.'),
        ),
    ]
