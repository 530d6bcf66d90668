from __future__ import annotations

from agents.supervisor.connection_counts import ConnectionCounts


def test_whoever_has_fewer_goes_first(tmp_path):
    first, second, supervisor = (ConnectionCounts(str(tmp_path)) for _ in range(3))
    first.note(0, 3)
    assert not first.others_have_fewer(0), "there are no others"
    second.note(1, 3)
    assert not first.others_have_fewer(0) and not second.others_have_fewer(1)
    second.note(1, 2)
    assert first.others_have_fewer(0) and not second.others_have_fewer(1)
    second.note(1, 0)
    assert first.others_have_fewer(0)
    supervisor.leave(1)
    assert not first.others_have_fewer(0), "nobody waits for the dead"
    assert (tmp_path / "connections").stat().st_mode & 0o777 == 0o600
