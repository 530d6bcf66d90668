import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sessions_app", "0020_costs"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="confirmation",
            name="by_hook",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name="run",
            name="finish",
            field=models.CharField(
                blank=True,
                choices=[
                    ("answer", "answered"),
                    ("terminate", "ended by a tool"),
                    ("refused", "refused"),
                    ("max_steps", "summed up at the limit of steps"),
                    ("limit", "summed up at a limit"),
                    ("length", "cut off"),
                ],
                db_default="",
                default="",
                editable=False,
                max_length=16,
                verbose_name="finish",
            ),
        ),
        migrations.AddField(
            model_name="toolcall",
            name="idempotent",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AlterField(
            model_name="span",
            name="kind",
            field=models.CharField(
                choices=[
                    ("reply", "reply of the model"),
                    ("summary", "summary by the model"),
                    ("tool", "tool call"),
                    ("hook", "hook"),
                ],
                max_length=16,
                verbose_name="kind",
            ),
        ),
        migrations.CreateModel(
            name="Memory",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("agent", models.CharField(max_length=64, verbose_name="agent")),
                ("key", models.CharField(max_length=200, verbose_name="key")),
                ("text", models.TextField(verbose_name="text")),
                ("changed_at", models.DateTimeField(auto_now=True, verbose_name="changed")),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agent_memories",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "memory",
                "verbose_name_plural": "memories",
                "indexes": [models.Index(fields=["-changed_at", "-id"], name="memory_newest")],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "agent", "key"), name="memory_once")
                ],
            },
        ),
    ]
