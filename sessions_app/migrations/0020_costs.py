from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sessions_app', '0019_run_limit'),
    ]

    operations = [
        migrations.AddField(
            model_name='run',
            name='cost_nanos',
            field=models.PositiveBigIntegerField(db_default=0, default=0, editable=False, verbose_name='cost in billionths'),
        ),
        migrations.AddField(
            model_name='run',
            name='currency',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=3, verbose_name='currency'),
        ),
        migrations.AddField(
            model_name='run',
            name='model',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=200, verbose_name='model'),
        ),
        migrations.AddField(
            model_name='run',
            name='priced_tokens',
            field=models.PositiveBigIntegerField(db_default=0, default=0, editable=False, verbose_name='tokens with a price'),
        ),
    ]
