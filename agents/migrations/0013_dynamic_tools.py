from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0012_model_prices")]

    operations = [
        migrations.AddField(
            model_name="hostedagent",
            name="dynamic_tools",
            field=models.BooleanField(
                db_default=False, default=False, editable=False, verbose_name="tools chosen by each run"
            ),
        ),
    ]
