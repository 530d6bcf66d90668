"""Which sockets a host name stands for."""

import errno
import socket
from contextlib import ExitStack

import pytest

from agents.hosting import sockets as listening
from agents.hosting.sockets import bind, describe_start_error, outward_addresses
from myagent import i18n


@pytest.fixture
def bound():
    with ExitStack() as stack:

        def start(host, port):
            sockets = bind(host, port)
            for sock in sockets:
                stack.enter_context(sock)
            return [sock.getsockname()[:2] for sock in sockets]

        yield start


def without_ipv6(monkeypatch, number=errno.EADDRNOTAVAIL):
    """As on a machine that has no IPv6."""
    bind_one = listening._bind_one

    def refusing(address, port):
        if address[0] == socket.AF_INET6:
            raise OSError(number, "no IPv6 here")
        return bind_one(address, port)

    monkeypatch.setattr(listening, "_bind_one", refusing)


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_localhost_does_without_ipv6(bound, monkeypatch, number):
    without_ipv6(monkeypatch, number)
    ((host, port),) = bound("localhost", 0)
    assert host == "127.0.0.1"
    assert port > 0


def test_an_address_that_is_not_there_is_an_error(bound, monkeypatch):
    without_ipv6(monkeypatch)
    with pytest.raises(OSError, match="no IPv6 here"):
        bound("::1", 0)


@pytest.mark.parametrize(("host", "expected"), [("0.0.0.0", "0.0.0.0"), ("127.0.0.1", "127.0.0.1")])
def test_addresses_stand_for_themselves(bound, host, expected):
    ((address, _),) = bound(host, 0)
    assert address == expected


@pytest.mark.parametrize("host", ["::", "[::]"])
def test_all_addresses_of_ipv6_are_those_of_ipv4_as_well(bound, host):
    assert sorted(address for address, _port in bound(host, 0)) == ["0.0.0.0", "::"]
    assert len({port for _address, port in bound(host, 0)}) == 1


def test_all_addresses_without_ipv6_are_those_of_ipv4(bound, monkeypatch):
    without_ipv6(monkeypatch)
    assert [address for address, _port in bound("::", 0)] == ["0.0.0.0"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "192.0.2.2", "box.example"])
def test_only_who_listens_on_all_addresses_has_more_than_one(host):
    assert outward_addresses(host) == []


def test_an_outward_address_leads_here(bound):
    """Also without a network, where there is none."""
    ((_address, port),) = bound("0.0.0.0", 0)
    for address in outward_addresses("0.0.0.0"):
        assert not address.startswith("127.")
        with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
            sock.connect((address, port))  # bound, and not listening yet


def test_a_free_port_must_be_free_in_both_families(bound, monkeypatch):
    bind_one, refused = listening._bind_one, []

    def taken_at_first(address, port):
        if address[0] == socket.AF_INET6:
            if len(refused) < 3:
                refused.append(port)
                raise OSError(errno.EADDRINUSE, "taken")
            raise OSError(errno.EAFNOSUPPORT, "gone")
        return bind_one(address, port)

    monkeypatch.setattr(listening, "_bind_one", taken_at_first)
    assert len(bound("localhost", 0)) == 1
    assert len(refused) == 3


def test_a_given_port_that_is_taken_in_one_family_is_taken(bound, monkeypatch):
    def taken(address, port):
        raise OSError(errno.EADDRINUSE, "taken")

    monkeypatch.setattr(listening, "_bind_one", taken)
    with pytest.raises(OSError, match="taken"):
        bound("localhost", 8080)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_cannot_be(bound, port):
    with pytest.raises(OverflowError):
        bound("127.0.0.1", port)


def test_a_bound_socket_does_not_listen_yet(bound):
    ((host, port),) = bound("127.0.0.1", 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EADDRINUSE, "Address already in use"), "stop the program that listens on 8080"),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign"), "10.9.8.7 is no address of this machine"),
        (OSError(errno.EACCES, "Permission denied"), "such as 8080"),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "10.9.8.7 is no name"),
    ],
)
def test_what_can_go_wrong_has_its_cure(error, words, monkeypatch):
    monkeypatch.setattr(i18n, "_language", "en")
    said, cure = describe_start_error(error, "10.9.8.7", 8080).splitlines()
    assert said == str(error)
    assert words in cure


def test_what_nobody_foresaw_is_told_as_it_is():
    assert describe_start_error(OSError(errno.ENOMEM, "no memory"), "h", 1) == "[Errno 12] no memory"


def test_what_can_be_no_name_is_an_unknown_name():
    with pytest.raises(socket.gaierror):
        bind("a..b", 0)
