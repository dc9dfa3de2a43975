"""Ask a verifier, on a clock that tests set, and search what it says for what it must not say."""

import asyncio
import re
import time
import traceback
from collections.abc import Coroutine
from typing import Any

import pytest
from app_issuer import CANARY, Issuer

from app.caller import AuthenticationError, Caller
from app.entra import TokenVerifier


class Clock:
    """The time of day and the time that passes; both only go on when a test says so."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._began = time.time()

    def now(self) -> float:
        return self._began + self.passed

    def __call__(self) -> float:
        return self.passed


class Asked:
    """A verifier of this issuer's tokens in an event loop of its own."""

    def __init__(self, issuer: Issuer) -> None:
        self.clock = Clock()
        self.verifier = TokenVerifier(issuer.settings, now=self.clock.now, clock=self.clock)
        self.runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def caller(self, token: bytes) -> Caller:
        return self.run(self.verifier.caller(token))

    def refused(self, token: bytes) -> AuthenticationError:
        """Return the refusal, once it is sure that it repeats nothing of the token."""
        with pytest.raises(AuthenticationError) as raised:
            self.caller(token)
        error = raised.value
        assert_silent(repr(error.headers) + error.detail, token)
        assert_silent("".join(traceback.format_exception(error)), token)
        assert error.__cause__ is None
        assert error.__context__ is None
        return error

    def settle(self) -> None:
        """Let a refresh that was started come to its end."""

        async def others() -> None:
            if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(tasks)

        self.run(others())


def assert_silent(text: str, token: bytes) -> None:
    assert CANARY not in text
    for piece in re.findall(r".{16}", token.decode("latin-1")):
        assert piece not in text
