from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0018_output_schema")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="limit",
            field=models.CharField(
                blank=True,
                choices=[
                    ("max_steps", "limit of steps"),
                    ("max_tokens", "limit of model tokens"),
                    ("max_tool_calls", "limit of tool calls"),
                    ("max_seconds", "limit of time"),
                    ("repeat_limit", "limit of equal tool calls"),
                ],
                db_default="",
                default="",
                editable=False,
                max_length=32,
                verbose_name="limit",
            ),
        ),
    ]
