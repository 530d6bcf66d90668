from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0011_fair_shares")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="traceparent",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=55),
        ),
    ]
