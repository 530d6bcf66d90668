import uuid

from django.db import migrations, models

AT_ONCE = 500


def name_families(apps, schema_editor):
    """Forks that are there already, by following what each continues up to the first one of the same owner."""
    sessions = apps.get_model("sessions_app", "Session").objects.using(schema_editor.connection.alias)
    forks = sessions.filter(forked_from__isnull=False).values_list("id", "user_id", "forked_from")
    origins = {pk: (user_id, uuid.UUID(origin["session_id"])) for pk, user_id, origin in forks.iterator()}
    families = {}
    for pk, (user_id, root) in origins.items():
        # A chain ends where a session is no fork, is deleted, or is somebody else's.
        while root in origins and origins[root][0] == user_id:
            root = origins[root][1]
        families.setdefault(root, []).append(pk)
    for root, members in families.items():
        for start in range(0, len(members), AT_ONCE):
            sessions.filter(pk__in=members[start : start + AT_ONCE]).update(family_id=root)


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0016_steering")]

    operations = [
        migrations.AddField(
            model_name="session",
            name="family_id",
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(
                condition=models.Q(("family_id__isnull", False)),
                fields=["family_id", "-active_at", "-id"],
                name="session_of_family",
            ),
        ),
        migrations.RunPython(name_families, migrations.RunPython.noop, elidable=True),
    ]
