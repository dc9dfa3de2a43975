"""Where a collector of metrics is, by its address: for the settings and for the network policy.

Both ask here: an address that the one takes and the other blocks is one where nothing arrives.
"""

import re
from dataclasses import dataclass

from infra.lifecycle.errors import LifecycleError

__all__ = ["Collector", "CollectorError", "check_collector"]

_HTTPS = 443
_LAST_PORT = 65_535
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+)(:(?P<port>[0-9]+))?(/[A-Za-z0-9._/-]*)?"
)
_SERVICE = re.compile(rf"{_LABEL}\.(?P<namespace>{_LABEL})\.svc(\.cluster\.local)?")
_PUBLIC = re.compile(rf"({_LABEL}\.)+(?!(svc|local|localhost|internal)$)[a-z]{{2,63}}")
"""The last labels left out are those of a cluster, a machine and a private network."""
_LOOPBACK = "127.0.0.1"


class CollectorError(LifecycleError):
    """Nothing would arrive at the address; the message says what it must be."""


@dataclass(frozen=True, kw_only=True)
class Collector:
    """Who is let out to: a namespace of the cluster, or public addresses without one; which port.

    A network policy knows no names: a public one must not lead to a private address.
    """

    namespace: str
    port: int

    @classmethod
    def at(cls, address: str) -> "Collector":
        """Say who is meant by a collector's base address.

        Raises:
            CollectorError: a pod would not reach it.
        """
        scheme, host, port = _parts(address)
        if service := _SERVICE.fullmatch(host):
            if port is None:
                raise CollectorError(
                    "names a Service without a port: add the one that the collector's pods listen "
                    "on, which is what the network policy opens"
                )
            return cls(namespace=service["namespace"], port=port)
        if host == _LOOPBACK:
            raise CollectorError(
                f"must not be {_LOOPBACK}, which in a container is the container: name the "
                "collector's Service, or its host"
            )
        if not _PUBLIC.fullmatch(host):
            raise CollectorError(
                "must name a Service as SERVICE.NAMESPACE.svc, or a host by its public name: "
                "the network policy lets nothing out to private addresses"
            )
        if scheme != "https" or port is not None:
            raise CollectorError(
                f"must be https://HOST without a port outside the cluster: {_HTTPS} alone is open"
            )
        return cls(namespace="", port=_HTTPS)


def check_collector(address: str, *, on_this_machine: bool) -> None:
    """Refuse an address that is not reached; a process on this machine may use 127.0.0.1.

    Raises:
        CollectorError: nothing would arrive there.
    """
    scheme, host, port = _parts(address)
    if not (on_this_machine and host == _LOOPBACK):
        Collector.at(address)
    elif scheme != "http" or port is None:
        raise CollectorError(f"must be http://{_LOOPBACK}:PORT on this machine")


def _parts(address: str) -> tuple[str, str, int | None]:
    """Return scheme, host and, where there is one, port."""
    found = _ADDRESS.fullmatch(address)
    if not found:
        raise CollectorError(
            "must be http://SERVICE.NAMESPACE.svc:PORT in the cluster, https://HOST outside, or "
            f"http://{_LOOPBACK}:PORT where the API is a process of this machine"
        )
    if found["port"] is None:
        return found["scheme"], found["host"], None
    if not re.fullmatch(r"[1-9][0-9]{0,4}", found["port"]) or int(found["port"]) > _LAST_PORT:
        raise CollectorError(f"must have a port from 1 to {_LAST_PORT}")
    return found["scheme"], found["host"], int(found["port"])
