from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0014_session_files")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="output_schema",
            field=models.JSONField(blank=True, editable=False, null=True),
        ),
    ]
