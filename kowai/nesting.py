"""How deeply JSON nests, told from its bytes in time that does not depend on what they say."""

DEEPEST = 64
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))


def nests_deeply(body: bytes, deepest: int = DEEPEST) -> bool:
    """Tell whether JSON nests deeper than `deepest` levels, or twice that where both kinds of bracket alternate.

    Brackets that do not match count as too deep. Each round takes away the innermost pairs.
    """
    outside = b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    brackets = outside.translate(None, _OTHERS)
    for _ in range(deepest):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)
