import pytest

from mlops_contract.hosts import Hosts

HOSTS = Hosts(("nginx",), " www.example.org:8000, *.corp.example,, [2001:db8::1]:80")


@pytest.mark.parametrize(
    "header",
    [
        *("localhost", "LOCALHOST:8000", "localhost.", "nginx", "127.0.0.1:8000", "[::1]:8000", "192.0.2.7", ""),
        *("www.example.org", "www.example.org:443", "a.corp.example", "a.b.corp.example:1"),
    ],
)
def test_own_names_and_addresses_are_known(header: str) -> None:
    assert HOSTS.know(header)


@pytest.mark.parametrize(
    "header",
    [
        *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "xlocalhost"),
        *("corp.example", "evilcorp.example", "www.example.org.evil.example", "evil.example/localhost", "a@localhost"),
        *("localhost\\@evil", "localhost:80:evil", "localhost evil", "0x7f000001.evil", "localhost:"),
    ],
)
def test_no_other_name_is(header: str) -> None:
    assert not HOSTS.know(header)


def test_a_star_knows_all() -> None:
    assert Hosts((), "*").know("evil.example")
