"""TF_CONFIG: which workers there are, and which of them a process is."""

import collections
import json
import random
import socket
from collections.abc import Sequence

from t2t_multimodel.errors import UserError

# Below the ports that Linux (from 32768 on) and macOS (from 49152 on) give to outgoing
# connections, which could take one before the worker does.
_LOCAL_PORTS = range(20_000, 32_000)
_MAX_PORT = 65_535


def tf_configs(addresses: Sequence[str]) -> list[str]:
    """Returns the TF_CONFIG of every worker, as JSON in one line.

    Args:
        addresses: `host:port` of worker 0, of worker 1, and so on.
    """
    cluster = {"worker": list(addresses)}
    return [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        for index in range(len(addresses))
    ]


def parse_addresses(text: str) -> list[str]:
    """Returns the addresses of a list `host:port,host:port`.

    Raises:
        UserError: If there is none, one is no address, or one is there twice.
    """
    addresses = [address.strip() for address in text.split(",")]
    if addresses == [""]:
        raise UserError(
            "--workers is missing; give the address of every worker, e.g. "
            "--workers=host1:2222,host2:2222"
        )
    for address in addresses:
        host, _, port = address.rpartition(":")
        is_bare_ipv6 = ":" in host and not (host[0] == "[" and host[-1] == "]")
        if not host or is_bare_ipv6 or any(map(str.isspace, host)):
            raise UserError(
                f"--workers={text}: {address!r} is not host:port, e.g. host1:2222 or "
                "[2001:db8::1]:2222"
            )
        if not (port.isascii() and port.isdecimal() and 0 < int(port) <= _MAX_PORT):
            raise UserError(
                f"--workers={text}: the port of {address!r} is not a number from 1 to "
                f"{_MAX_PORT}"
            )
    (most_common, count), *_ = collections.Counter(addresses).most_common(1)
    if count > 1:
        raise UserError(
            f"--workers={text} has {most_common} {count} times; workers of one host "
            "need a port each"
        )
    return addresses


def local_addresses(num_workers: int, first_port: int = 0) -> list[str]:
    """Returns addresses of this machine at which nobody listens.

    Args:
        num_workers: How many.
        first_port: They have this port and the following ones; 0 takes any.

    Raises:
        UserError: If one of the ports is taken, or there are not so many.
    """
    if first_port:
        if first_port + num_workers - 1 > _MAX_PORT:
            raise UserError(
                f"--port={first_port} leaves no {num_workers} ports up to {_MAX_PORT}"
            )
        ports = [first_port + index for index in range(num_workers)]
        for port in ports:
            if not _is_free(port):
                raise UserError(
                    f"--port={first_port}: port {port} is taken by another process; "
                    "give another, or leave it out for free ones"
                )
    else:
        tried = random.SystemRandom().sample(_LOCAL_PORTS, len(_LOCAL_PORTS))
        free = (port for port in tried if _is_free(port))
        ports = [port for port, _ in zip(free, range(num_workers), strict=False)]
        if len(ports) < num_workers:
            raise UserError(f"this machine has no {num_workers} free ports")
    return [f"localhost:{port}" for port in ports]


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that ended a moment ago do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
