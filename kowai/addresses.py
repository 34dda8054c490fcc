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


def is_public(address: str) -> bool:
    """Say whether `address` is on the public internet; what is no address is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _is_public(parsed)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address in NAT64:
            return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in GLOBAL_UNICAST:
            return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not special and not any(address in network for network in REFUSED)
