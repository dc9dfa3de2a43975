import functools
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from engine_house import House

from engine import state

_real = state._cipher  # pyright: ignore[reportPrivateUsage] - see below


@functools.cache
def cipher(passphrase: str) -> Fernet:
    """Derive a key once for all tests: it is slow on purpose, and every run reads a state."""
    return _real(passphrase, b"salt")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    def cheap(passphrase: str, _salt: bytes) -> Fernet:
        return cipher(passphrase)

    monkeypatch.setattr("engine.state._cipher", cheap)
    return House(tmp_path)
