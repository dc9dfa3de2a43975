"""The embedded engine's state: what exists, in one JSON file written atomically.

Secrets are stored encrypted with the passphrase that the Pulumi engine uses as well.
"""

import base64
import graphlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from engine.errors import EngineError

__all__ = ["Record", "State", "dependents_first", "passphrase_file"]

_VERSION = 1
_SALT_BYTES = 16
_SECRET = "secret:v1:"  # noqa: S105 - a marker, not a secret


@dataclass(kw_only=True)
class Record:
    """One resource. `secrets` names the inputs and outputs that are stored encrypted.

    `pending_delete` marks one that was replaced and is still to be deleted.
    """

    urn: str
    type: str
    name: str
    custom: bool
    parent: str = ""
    dependencies: list[str] = field(default_factory=list[str])
    property_dependencies: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    protect: bool = False
    retain_on_delete: bool = False
    id: str = ""
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    secrets: list[str] = field(default_factory=list[str])
    pending_delete: bool = False

    @property
    def label(self) -> str:
        """Name and kind, for messages."""
        return f"{self.name} ({self.type.rpartition(':')[2]})"


class State:
    """The records of one stack and its outputs; every `save` is whole or not at all."""

    def __init__(self, path: Path, passphrase: str) -> None:
        """Read the state in `path`, or begin an empty one.

        Raises:
            EngineError: the file exists and cannot be read; it is left as it is.
        """
        self._path = path
        self.records: list[Record] = []
        self.outputs: dict[str, Any] = {}
        self.secret_outputs: list[str] = []
        stored = self._stored()
        self._salt = self._salt_of(stored) if stored else secrets.token_bytes(_SALT_BYTES)
        self._cipher = _cipher(passphrase, self._salt)
        if stored:
            self._read(stored)

    def current(self, urn: str) -> Record | None:
        """Find the record that stands for `urn` now."""
        return next((r for r in self.records if r.urn == urn and not r.pending_delete), None)

    def save(self) -> None:
        """Write the state.

        Raises:
            EngineError: it cannot be written (a full disk, say); the file keeps what it held.
        """
        content = {
            "version": _VERSION,
            "salt": base64.b64encode(self._salt).decode(),
            "outputs": self._sealed(self.outputs, self.secret_outputs),
            "secret_outputs": self.secret_outputs,
            "resources": [self._stored_record(record) for record in self.records],
        }
        temporary = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except OSError as error:
            raise EngineError(
                f"{self._path} cannot be written: {error.strerror}; it keeps what it held, and the "
                "next run finds again what this one made"
            ) from error

    def _stored(self) -> dict[str, Any] | None:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            if stored["version"] != _VERSION:
                raise self._unreadable(f"version {stored['version']}, not {_VERSION}")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._unreadable(str(error) or type(error).__name__) from error
        return stored

    def _salt_of(self, stored: dict[str, Any]) -> bytes:
        try:
            return base64.b64decode(stored["salt"], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable(f"no salt ({error})") from error

    def _read(self, stored: dict[str, Any]) -> None:
        try:
            self.secret_outputs = stored["secret_outputs"]
            self.outputs = self._opened(stored["outputs"], self.secret_outputs)
            for entry in stored["resources"]:
                record = Record(**entry)
                record.inputs = self._opened(record.inputs, record.secrets)
                record.outputs = self._opened(record.outputs, record.secrets)
                self.records.append(record)
        except (KeyError, TypeError, AttributeError) as error:
            raise self._unreadable(f"not a state file ({error})") from error
        except InvalidToken as error:
            reason = (
                "its secrets were encrypted with another passphrase than .local/passphrase holds"
            )
            raise self._unreadable(reason) from error

    def _unreadable(self, reason: str) -> EngineError:
        return EngineError(
            f"{self._path} cannot be read: {reason}. It is left as it is: restore it from a copy, "
            "or move it away to begin anew (what it recorded then has to be ended by hand)"
        )

    def _stored_record(self, record: Record) -> dict[str, Any]:
        stored = asdict(record)
        stored["inputs"] = self._sealed(record.inputs, record.secrets)
        stored["outputs"] = self._sealed(record.outputs, record.secrets)
        return stored

    def _sealed(self, values: dict[str, Any], secret: list[str]) -> dict[str, Any]:
        return {k: self._encrypted(v) if k in secret else v for k, v in values.items()}

    def _encrypted(self, value: Any) -> str:
        return _SECRET + self._cipher.encrypt(json.dumps(value).encode()).decode()

    def _opened(self, values: dict[str, Any], secret: list[str]) -> dict[str, Any]:
        return {k: self._decrypted(v) if k in secret else v for k, v in values.items()}

    def _decrypted(self, value: str) -> Any:
        return json.loads(self._cipher.decrypt(value[len(_SECRET) :].encode()))


def dependents_first(records: list[Record]) -> list[Record]:
    """Order records so that whatever needs another comes before it.

    A record that waits for its deletion needs what it needed then, not what bears the URN now.
    """
    graph = {
        index: {
            other
            for other, needed in enumerate(records)
            if needed.urn in (*record.dependencies, record.parent)
            and (needed.pending_delete or not record.pending_delete)
            and needed is not record
        }
        for index, record in enumerate(records)
    }
    return [records[index] for index in graphlib.TopologicalSorter(graph).static_order()][::-1]


def _cipher(passphrase: str, salt: bytes) -> Fernet:
    # Cost as in RFC 7914's interactive example; the passphrase is random, not typed.
    key = Scrypt(salt=salt, length=32, n=2**14, r=8, p=1).derive(passphrase.encode())
    return Fernet(base64.urlsafe_b64encode(key))


def passphrase_file(folder: Path) -> Path:
    """Return the file of the stack's passphrase in `folder`, made at first use, mode 0600."""
    path = folder / "passphrase"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32))
        temporary.replace(path)
    return path
