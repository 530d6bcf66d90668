"""What tells anonymous visitors apart."""

import pytest
from django.test import override_settings

from agents.access.visitors import MARK_LENGTH, visitor_mark


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "unix", True),
    ],
)
def test_an_address_is_one_visitor_and_so_is_a_network_of_ipv6(one, other, same):
    assert (visitor_mark(one) == visitor_mark(other)) is same


def test_the_mark_tells_no_address():
    mark = visitor_mark("203.0.113.7")
    assert len(mark) == MARK_LENGTH
    with override_settings(SECRET_KEY="another" * 8):
        assert visitor_mark("203.0.113.7") != mark
