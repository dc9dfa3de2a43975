"""What `python -m app --help` says of the environment is what the settings read of it."""

import re
from pathlib import Path
from typing import Any

from app import __main__ as app_main
from app.settings import Settings
from tests.app.app_issuer import AUDIENCE, TENANT
from tests.app.app_processes import KEY_SHA256


class _Recording(dict[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self, **variables: str) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


def test_the_settings_are_those_that_the_program_documents(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    environment = _Recording(
        RELEASE_DIR=str(bundle),
        RELEASE_VERSION="7",
        API_KEY_SHA256=KEY_SHA256,
        ENTRA_TENANT_ID=TENANT,
        ENTRA_AUDIENCE=AUDIENCE,
    )
    settings = Settings.from_environment(environment)
    text = app_main.__doc__ or ""
    lines = re.findall(r"^  ([A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*)", text, re.MULTILINE)
    assert {name for line in lines for name in line.split(", ")} == environment.asked
    for value in (
        f"({settings.rate_limit_per_second}, {settings.rate_limit_burst})",
        f"({settings.max_in_flight})",
        f"({settings.window_records}, {settings.window_seconds} seconds)",
        f"({str(settings.docs_enabled).lower()})",
        f"({settings.host}, and {settings.port}: any free port)",
    ):
        assert value in " ".join(text.split()), value
