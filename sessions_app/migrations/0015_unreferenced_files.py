from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0014_session_files")]

    operations = [
        migrations.AddField(
            model_name="sessionfile",
            name="unreferenced_since",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="sessionfile",
            index=models.Index(
                condition=models.Q(("unreferenced_since__isnull", False)),
                fields=["unreferenced_since"],
                name="file_of_no_message",
            ),
        ),
    ]
