"""Which addresses may be connected to."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from isvcwatch.probing.addresses import AddressPolicy

FORBIDDEN = [
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("::1", "loopback"),
    ("::ffff:127.0.0.1", "loopback"),
    ("2002:7f00:1::", "loopback"),
    ("169.254.169.254", "link-local"),
    ("169.254.0.1", "link-local"),
    ("::ffff:169.254.169.254", "link-local"),
    ("::ffff:a9fe:a9fe", "link-local"),
    ("2002:a9fe:a9fe::", "link-local"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("224.0.0.1", "multicast"),
    ("ff02::1", "multicast"),
    ("0.0.0.0", "unspecified"),  # noqa: S104 -- an address to be refused
    ("::", "unspecified"),
    ("::ffff:0.0.0.0", "unspecified"),
    ("255.255.255.255", "reserved"),
    ("240.0.0.1", "reserved"),
    ("64:ff9b::a9fe:a9fe", "reserved"),
    ("::127.0.0.1", "reserved"),
]
PODS_AND_SERVICES = ["10.96.0.10", "172.16.3.4", "192.168.1.1", "100.64.0.1", "fd00:10:96::a", "34.120.0.1", "2600:1901::1"]


@pytest.mark.parametrize("own_host", [True, False])
@pytest.mark.parametrize(("address", "kind"), FORBIDDEN)
def test_what_no_model_servers_address_can_be_is_refused(address: str, kind: str, own_host: bool) -> None:
    assert kind in AddressPolicy().objection(address, own_host=own_host)


def test_the_api_server_and_the_metadata_service_are_no_models_whatever_names_them() -> None:
    policy = AddressPolicy(denied=[ip_address("10.96.0.1")])
    for address in ("10.96.0.1", "::ffff:10.96.0.1", "fd00:ec2::254"):
        assert "not a model server's address" in policy.objection(address, own_host=True)
    assert policy.objection("10.96.0.2", own_host=True) == ""


@pytest.mark.parametrize("address", PODS_AND_SERVICES)
def test_a_service_of_the_objects_own_namespace_may_be_anywhere_else(address: str) -> None:
    assert AddressPolicy().objection(address, own_host=True) == ""


def test_a_host_that_may_be_nowhere_need_not_be_looked_up() -> None:
    assert "not a Service in the object's own namespace" in AddressPolicy().host_objection("evil.example", own_host=False)
    assert AddressPolicy().host_objection("iris.models.svc", own_host=True) == ""
    assert AddressPolicy([ip_network("10.0.0.0/8")]).host_objection("mine.example", own_host=False) == ""
    assert AddressPolicy(anywhere=True).host_objection("mine.example", own_host=False) == ""


@pytest.mark.parametrize("address", PODS_AND_SERVICES)
def test_any_other_host_may_be_nowhere_that_is_not_allowed(address: str) -> None:
    assert "not a Service in the object's own namespace" in AddressPolicy().objection(address, own_host=False)


@pytest.mark.parametrize(
    ("allowed", "address", "refused"),
    [
        ("127.0.0.0/8", "127.0.0.1", False),
        ("127.0.0.0/8", "::ffff:127.0.0.1", False),
        ("127.0.0.0/8", "::1", True),
        ("::1/128", "::1", False),
        ("10.0.0.0/8", "10.1.2.3", False),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("fe80::/10", "fe80::1%eth0", False),
        ("0.0.0.0/0", "fd00::1", True),
        ("::/0", "10.0.0.1", True),
        ("::/0", "::ffff:10.0.0.1", True),
    ],
)
def test_a_range_that_is_allowed_is_open_to_any_host_name(allowed: str, address: str, refused: bool) -> None:
    assert bool(AddressPolicy([ip_network(allowed)]).objection(address, own_host=False)) is refused


@pytest.mark.parametrize("address", [address for address, _ in FORBIDDEN] + PODS_AND_SERVICES)
def test_a_persons_own_check_may_go_anywhere(address: str) -> None:
    assert AddressPolicy(anywhere=True).objection(address, own_host=False) == ""
