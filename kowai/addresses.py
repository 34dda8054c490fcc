"""Which network addresses a document may be fetched from: public ones, however they are written."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

NAT64 = ip_network("64:ff9b::/96")  # carries an IPv4 address in its last 32 bits
GLOBAL_UNICAST = ip_network("2000::/3")
REFUSED = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # Azure's metadata and DNS
            "192.0.0.0/24",  # IETF protocols, among them metadata servers
            "192.88.99.0/24",  # 6to4 relays
            "2001::/23",  # IETF protocols, among them Teredo, which carries IPv4
            "2002::/16",  # 6to4, which carries IPv4
            "3fff::/20",  # documentation
        ),
    )
)


METADATA = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",  # link-local: what gives a machine of a cloud its credentials
            "fe80::/10",
            "fd00:ec2::254/128",  # Amazon's
            "100.100.100.200/32",  # Alibaba's
            "168.63.129.16/32",  # Azure's
            "192.0.0.192/32",  # Oracle's
        ),
    )
)


def is_public(address: str) -> bool:
    """Say whether `address` is on the public internet; what is no address is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _is_public(parsed)


def network_of(address: str) -> str:
    """Return what one subscriber is known by: an IPv4 address, or the 64 bits of an IPv6 one (RFC 6177)."""
    try:
        parsed = _unwrapped(ip_address(address))
    except ValueError:
        return address
    return str(parsed if isinstance(parsed, IPv4Address) else ip_network((parsed, 64), strict=False))


def is_metadata(address: str) -> bool:
    """Say whether a cloud's machines are told their secrets at `address`, however it is written."""
    try:
        parsed = _unwrapped(ip_address(address))
    except ValueError:
        return False
    return any(parsed in network for network in METADATA)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one carries, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    address = _unwrapped(address)
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not special and not any(address in network for network in REFUSED)
