"""Internet addresses, and the versions, sections and times that look like them."""

import pytest

from lmcore.data.text.privacy import mask


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 192.0.2.44 at noon", "from <IP> at noon"),
        ("地址192.0.2.44在", "地址<IP>在"),
        ("ip=8.8.8.8", "ip=<IP>"),
        ("server 1.2.3.4 answered", "server <IP> answered"),
        ("see 2001:db8:0:0:1:0:0:1 there", "see <IP> there"),
        ("fe80::1ff:fe23:4567:890a%eth2", "<IP>%eth2"),
        ("host 2001:db8::1.", "host <IP>."),
        ("主机：fd00:12ab::1。", "主机：<IP>。"),
        ("IP:2001:db8::77", "IP:<IP>"),
        ("[2001:DB8::8a2e:370:7334]:80", "[<IP>]:80"),
        ("::ffff:192.0.2.128", "<IP>"),
    ],
)
def test_addresses_are_found(text: str, expected: str) -> None:
    assert mask(text).text == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "version 2.1.1.108",
            "v10.0.22.1",
            "Version: 10.1.22.3",
            "版本3.12.4.77",
            "build 7.2.61.4",
        ),
        *("see § 3.1.4.1", "section 2.1.15.3 says", "1.2.3.4 Scope of work", "at 5.6.7.8 too"),
        *("12:34:56", "12:34:56:78", "00:1A:2B:3C:4D:5E", "a::b::c", "std::string", "dead::beef"),
        *("256.1.20.1", "1.2.3.4.5", "0.12.13.14", "01.02.03.04"),
    ],
)
def test_numberings_and_times_stay(text: str) -> None:
    assert mask(text).text == text
