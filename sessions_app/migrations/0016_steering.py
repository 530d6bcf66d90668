from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0015_unreferenced_files")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="steers",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]
