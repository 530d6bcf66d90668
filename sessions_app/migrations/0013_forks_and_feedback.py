from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0012_traceparent")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="end_state",
            field=models.JSONField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="run",
            name="rating",
            field=models.CharField(
                blank=True, choices=[("up", "good"), ("down", "bad")], max_length=8, null=True, verbose_name="rating"
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="comment",
            field=models.TextField(blank=True, null=True, verbose_name="comment"),
        ),
        migrations.AddField(
            model_name="run",
            name="rated_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="rated"),
        ),
        migrations.AddField(
            model_name="session",
            name="forked_from",
            field=models.JSONField(blank=True, null=True, verbose_name="forked from"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["session", "-queued_at"], name="run_of_session"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("rated_at__isnull", False)), fields=["-rated_at"], name="run_rated"
            ),
        ),
    ]
