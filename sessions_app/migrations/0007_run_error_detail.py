from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sessions_app", "0006_newest_first"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="error_detail",
            field=models.TextField(blank=True, default="", verbose_name="error in detail"),
        ),
    ]
