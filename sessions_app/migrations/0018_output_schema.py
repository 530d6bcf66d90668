from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0017_families")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="output_schema",
            field=models.JSONField(blank=True, editable=False, null=True),
        ),
    ]
