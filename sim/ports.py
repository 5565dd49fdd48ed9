"""Which ports of this machine a demo takes: free ones, that no other demo which is starting takes too."""

import socket
from contextlib import ExitStack


def page_port(wanted: int) -> int:
    """`wanted`, or a free one where another program has it, or another demo that is starting at this moment."""
    return wanted if _is_free(wanted) and _claimed(wanted) else free_ports(1)[0]


_claims: list[socket.socket] = []  # until this process ends: a port is chosen some seconds before it is listened at


def _claimed(port: int) -> bool:
    """Whether the port is now ours to choose, and no other demo's of this machine.

    A claim is an abstract Unix socket, `unix(7)`: the kernel gives it up when the process ends, however it ends.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0ess:demo:{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """On loopback, each for this process alone to choose."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            if _claimed(port := one.getsockname()[1]):
                found.append(port)
    return found
