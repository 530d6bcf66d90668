import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0010_server_mark'),
    ]

    operations = [
        migrations.AddField(
            model_name='hostedagent',
            name='max_tokens',
            field=models.PositiveBigIntegerField(blank=True, help_text='Input and output of all calls of the model, where that is less than its author allows.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='model tokens per run'),
        ),
        migrations.AddField(
            model_name='hostedagent',
            name='max_tool_calls',
            field=models.PositiveIntegerField(blank=True, help_text='Where that is less than its author allows.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='tool calls per run'),
        ),
        migrations.AddField(
            model_name='hostedagent',
            name='max_seconds',
            field=models.PositiveIntegerField(blank=True, help_text='Where that is less than its author allows. While it waits for a person, the clock stands still.', null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='seconds per run'),
        ),
    ]
