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
    ("169.254.0.1", "link-local"),
    ("2002:a9fe:1::", "link-local"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("224.0.0.1", "multicast"),
    ("ff02::1", "multicast"),
    ("0.0.0.0", "unspecified"),  # noqa: S104 -- an address to be refused
    ("::", "unspecified"),
    ("::ffff:0.0.0.0", "unspecified"),
    ("255.255.255.255", "reserved"),
    ("240.0.0.1", "reserved"),
    ("64:ff9b::a00:1", "reserved"),
    ("64:ff9b::7f00:1", "reserved"),
    ("::127.0.0.1", "reserved"),
]
PODS_AND_SERVICES = ["10.96.0.10", "172.16.3.4", "192.168.1.1", "100.64.0.1", "fd00:10:96::a", "34.120.0.1", "2600:1901::1"]


@pytest.mark.parametrize("own_host", [True, False])
@pytest.mark.parametrize(("address", "kind"), FORBIDDEN)
def test_what_no_model_servers_address_can_be_is_refused(address: str, kind: str, own_host: bool) -> None:
    assert kind in AddressPolicy().objection(address, own_host=own_host)


CREDENTIALS = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:c1::a9fe:a9fe",
    "fd00:a9fe:a9fe::1",
    "fd00:42::42",
    "::ffff:169.254.169.254",  # mapped
    "::ffff:6464:64c8",
    "::ffff:168.63.129.16",
    "::a9fe:a9fe",  # compatible
    "2002:a9fe:a9fe::",  # 6to4
    "2002:6464:64c8::1",
    "64:ff9b::a9fe:a9fe",  # NAT64
    "64:ff9b::100.100.100.200",
    "64:ff9b:1::168.63.129.16",
    "64:ff9b:1:a9fe::192.0.0.192",
    "2001:0:a9fe:a9fe::1",  # Teredo, by its server
    "fd00:ec2::254%eth0",
]


@pytest.mark.parametrize("own_host", [True, False])
@pytest.mark.parametrize("address", CREDENTIALS)
def test_no_name_leads_to_a_metadata_service(address: str, own_host: bool) -> None:
    assert "metadata service" in AddressPolicy().objection(address, own_host=own_host)


@pytest.mark.parametrize("address", CREDENTIALS)
def test_a_range_opens_no_metadata_service_that_is_in_it(address: str) -> None:
    ranges = [ip_network(text) for text in ("0.0.0.0/0", "::/0", "169.254.0.0/16", "100.64.0.0/10", "168.63.129.16/31", "fd00:ec2::/32")]
    assert "metadata service" in AddressPolicy(ranges).objection(address, own_host=True)


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200"])
def test_a_metadata_service_that_is_itself_allowed_is_open(address: str) -> None:
    assert AddressPolicy([ip_network(address)]).objection(address, own_host=False) == ""


def test_the_api_server_is_no_model_whatever_names_it_and_whatever_range_is_allowed() -> None:
    policy = AddressPolicy([ip_network("10.0.0.0/8")], denied=[ip_address("10.96.0.1")])
    policy.deny([ip_address("10.0.0.5"), ip_address("fd00::5")])
    for address in ("10.96.0.1", "::ffff:10.96.0.1", "10.0.0.5", "fd00::5", "64:ff9b::10.0.0.5"):
        assert "the API server's" in policy.objection(address, own_host=True)
    assert policy.objection("10.96.0.2", own_host=True) == ""
    policy = AddressPolicy([ip_network("10.0.0.5/32")], denied=[ip_address("10.0.0.5")])
    assert policy.objection("10.0.0.5", own_host=True) == ""


def test_an_api_server_on_this_machine_takes_no_range_from_models_on_it() -> None:
    policy = AddressPolicy([ip_network("127.0.0.0/8")], denied=[ip_address("127.0.0.1")])
    assert policy.objection("127.0.0.1", own_host=False) == ""
    assert "loopback" in AddressPolicy(denied=[ip_address("127.0.0.1")]).objection("127.0.0.1", own_host=True)


@pytest.mark.parametrize("address", PODS_AND_SERVICES)
def test_a_service_of_the_objects_own_namespace_may_be_anywhere_else(address: str) -> None:
    assert AddressPolicy().objection(address, own_host=True) == ""


def test_a_host_that_may_be_nowhere_need_not_be_looked_up() -> None:
    assert "no Service in the object's own namespace" in AddressPolicy().host_objection("evil.example", own_host=False)
    assert AddressPolicy().host_objection("iris.models.svc", own_host=True) == ""
    assert AddressPolicy([ip_network("10.0.0.0/8")]).host_objection("mine.example", own_host=False) == ""
    assert AddressPolicy(anywhere=True).host_objection("mine.example", own_host=False) == ""


@pytest.mark.parametrize(
    ("host", "canonical", "led_away", "routed_away"),
    [
        ("iris.models.svc", "iris.models.svc", False, False),
        ("iris.models.svc", "iris.models.svc.cluster.local", False, False),
        ("IRIS.models.svc.cluster.local.", "iris.models.svc.cluster.local", False, False),
        ("iris.models.svc", "other.models.svc", True, False),
        ("iris.models.svc.cluster.local", "gateway.istio-system.svc.cluster.local", True, False),
        ("iris.models.svc.cluster.local", "gateway.istio-system.svc.attacker.example", True, True),
        ("iris.models.svc", "gateway.istio-system.svc.attacker.example", True, True),
        ("iris.models.svc.cluster.local", "intranet.example", True, True),
        ("iris.models.svc.cluster.local", "metadata.google.internal", True, True),
        ("iris.models.svc.cluster.local", "iris.models.example", True, True),
    ],
)
def test_a_service_that_is_an_alias_leads_away(host: str, canonical: str, led_away: bool, routed_away: bool) -> None:
    assert AddressPolicy.leads_away(host, canonical, routed=False) is led_away
    assert AddressPolicy.leads_away(host, canonical, routed=True) is routed_away


@pytest.mark.parametrize("address", PODS_AND_SERVICES)
def test_any_other_host_may_be_nowhere_that_is_not_allowed(address: str) -> None:
    assert "no Service in the object's own namespace" in AddressPolicy().objection(address, own_host=False)


@pytest.mark.parametrize(
    ("allowed", "address", "refused"),
    [
        ("127.0.0.0/8", "127.0.0.1", False),
        ("127.0.0.0/8", "::ffff:127.0.0.1", False),
        ("127.0.0.0/8", "::1", True),
        ("::1/128", "::1", False),
        ("10.0.0.0/8", "10.1.2.3", False),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("169.254.0.0/16", "169.254.1.1", False),
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
