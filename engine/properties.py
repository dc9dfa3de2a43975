"""Resource properties between the SDK's messages, the engine's plain values, and a person's eyes.

`pulumi.runtime.rpc` is not public API; see `engine.embedded`.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2
from pulumi.output import Unknown
from pulumi.runtime import rpc

__all__ = ["PROVIDER", "received", "sent", "shown"]

PROVIDER = "__provider"
"""The property in which a dynamic resource carries its pickled provider."""


def received(properties: struct_pb2.Struct) -> tuple[dict[str, Any], set[str]]:
    """Read properties as the SDK sent them: plain values, and the names of the secret ones."""
    values: dict[str, Any] = rpc.deserialize_properties(properties, True)
    secret = {key for key, value in values.items() if rpc.is_rpc_secret(value)}
    return {
        key: rpc.unwrap_rpc_secret(value) if key in secret else value
        for key, value in values.items()
    }, secret - {PROVIDER}


def sent(properties: dict[str, Any], secret: list[str]) -> struct_pb2.Struct:
    """Write properties as the SDK reads them, the secret ones marked."""
    marked = {
        key: rpc.wrap_rpc_secret(value) if key in secret else value
        for key, value in properties.items()
        if key != PROVIDER
    }
    return asyncio.run(rpc.serialize_properties(marked, {}))


def shown(inputs: Mapping[str, Any], secret: list[str]) -> dict[str, Any]:
    """Make inputs fit to be shown."""
    return {
        key: "[secret]" if key in secret else _word(value)
        for key, value in inputs.items()
        if key != PROVIDER
    }


def _word(value: Any) -> Any:
    match value:
        case Unknown():
            return "[unknown]"
        case float() if value.is_integer():
            # The SDK's messages know one kind of number.
            return int(value)
        case dict():
            return {key: _word(item) for key, item in value.items()}  # pyright: ignore
        case list():
            return [_word(item) for item in value]  # pyright: ignore
        case _:
            return value
