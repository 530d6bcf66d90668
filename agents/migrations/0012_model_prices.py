import django.core.validators
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0011_run_limits'),
    ]

    operations = [
        migrations.AddField(
            model_name='groupbudget',
            name='cost_per_day',
            field=models.DecimalField(blank=True, decimal_places=2, help_text='Of models that have a price.', max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name='cost of models per day, all members together'),
        ),
        migrations.AddField(
            model_name='groupbudget',
            name='member_cost_per_day',
            field=models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name='cost of models per day, each member'),
        ),
        migrations.AddField(
            model_name='reservation',
            name='cost_nanos',
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='usage',
            name='cost_nanos',
            field=models.PositiveBigIntegerField(db_default=0, default=0, verbose_name='cost in billionths'),
        ),
        migrations.AddField(
            model_name='usage',
            name='currency',
            field=models.CharField(blank=True, db_default='', default='', max_length=3, verbose_name='currency'),
        ),
        migrations.AddField(
            model_name='usage',
            name='priced_tokens',
            field=models.PositiveBigIntegerField(db_default=0, default=0, verbose_name='tokens with a price'),
        ),
        migrations.AddField(
            model_name='userbudget',
            name='cost_per_day',
            field=models.DecimalField(blank=True, decimal_places=2, help_text='Of models that have a price.', max_digits=12, null=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name='cost of models per day'),
        ),
        migrations.CreateModel(
            name='ModelPrice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('model', models.CharField(help_text='The name by which the endpoint is asked for it, exactly.', max_length=200, verbose_name='model')),
                ('input_price', models.DecimalField(decimal_places=6, max_digits=14, validators=[django.core.validators.MinValueValidator(0)], verbose_name='a million input tokens')),
                ('cached_input_price', models.DecimalField(blank=True, decimal_places=6, help_text='Empty: as other input.', max_digits=14, null=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name='a million input tokens from the cache')),
                ('output_price', models.DecimalField(decimal_places=6, help_text='Those of reasoning are among them.', max_digits=14, validators=[django.core.validators.MinValueValidator(0)], verbose_name='a million output tokens')),
                ('currency', models.CharField(editable=False, max_length=3, verbose_name='currency')),
                ('valid_from', models.DateTimeField(default=django.utils.timezone.now, verbose_name='holds from')),
            ],
            options={
                'verbose_name': 'price of a model',
                'verbose_name_plural': 'model prices',
                'ordering': ('model', '-valid_from'),
                'constraints': [models.UniqueConstraint(fields=('model', 'valid_from'), name='one_model_price_at_a_time', violation_error_message='There is a price of this model from this moment on.')],
            },
        ),
    ]
