"""The public address, and which API process answers on it.

The process in front hands its listening socket to the next one: the socket, with every connection
that waits in it, outlives both, so that a switch loses no request.
"""

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra.lifecycle import process
from infra.lifecycle.errors import AddressError

__all__ = ["TrafficSwitch", "TrafficSwitchArgs", "TrafficSwitchProvider"]


@dataclass(frozen=True, kw_only=True)
class TrafficSwitchArgs:
    """The public address and the process that is to answer there.

    `port_key` is the config key that sets the port, for the error that says so.
    """

    host: str
    port: int
    port_key: str
    run_dir: str
    instance: pulumi.Input[str]
    pid: pulumi.Input[int]


class TrafficSwitchProvider(ResourceProvider):
    """Moves the public address from process to process."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse, before anything is changed, an address that another program holds."""
        if _is_free(news["host"], int(news["port"])):
            return CheckResult(news, [])
        ours = process.statuses(news["run_dir"])
        # One of ours that does not answer may hold the port: it is ended before the switch is made.
        if None in ours.values() or _among(ours, news) is not None:
            return CheckResult(news, [])
        return CheckResult(news, [CheckFailure("port", _taken(news))])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Switch when another process, or another address, is asked for, or the holder is gone."""
        keys = ("host", "port", "instance", "pid")
        changed = any(olds[key] != news[key] for key in keys)
        return DiffResult(changes=changed or _holder(news) != process.control_of(news))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Have the process answer on the public address.

        Raises:
            AddressError: another program holds the address, or the handover failed; whoever
                answered before still does.
        """
        return CreateResult(id_="traffic", outs=_switch(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Move the address to the new process, as `create` does."""
        return UpdateResult(outs=_switch(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Give the address back."""
        holder = _holder(props)
        if holder is not None:
            process.ask(holder, command="retire")


def _switch(props: dict[str, Any]) -> dict[str, Any]:
    target, holder = process.control_of(props), _holder(props)
    answer = process.ask(
        target,
        command="publish",
        host=props["host"],
        port=int(props["port"]),
        **{"from": holder if holder != target else None},
    )
    if answer is None:
        raise AddressError(f"API process {props['instance']} does not answer; run again")
    if not answer["ok"]:
        taken = answer["error"] == "address_in_use"
        raise AddressError(_taken(props) if taken else answer["message"])
    return {**props, "url": f"http://{props['host']}:{int(props['port'])}"}


def _holder(props: dict[str, Any]) -> str | None:
    """Find the control socket of our process that answers on the address."""
    return _among(process.statuses(props["run_dir"]), props)


def _among(ours: Mapping[str, Mapping[str, Any] | None], props: dict[str, Any]) -> str | None:
    address = f"{props['host']}:{int(props['port'])}"
    answering = (
        control for control, status in ours.items() if status and status["public"] == address
    )
    return next(answering, None)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: an address whose last connections are only fading out is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
        return True


def _taken(props: dict[str, Any]) -> str:
    return (
        f"{props['host']}:{int(props['port'])} is taken by another program; "
        f"set {props['port_key']} to a free port, or end that program"
    )


class TrafficSwitch(Resource, module="lifecycle", name="TrafficSwitch"):
    """The public address of the API."""

    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: TrafficSwitchArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(TrafficSwitchProvider(), name, {**vars(args), "url": None}, opts)
