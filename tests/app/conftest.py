from collections.abc import Iterator
from pathlib import Path

import pytest
from app_bundles import write_bundle
from app_client import Client
from app_issuer import Issuer, sign
from app_processes import KEY_SHA256, Process, Start
from app_tokens import Asked, assert_silent
from page_browser import Browser

from app.api import Api
from app.service import Service
from app.settings import Settings


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release-a")
    write_bundle(folder)
    return folder


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release-b")
    write_bundle(folder, shift=0.5)
    return folder


@pytest.fixture
def settings(bundle: Path) -> Settings:
    return Settings(
        release_dir=bundle,
        release_version="7",
        release_sha256=None,
        api_key_sha256=("0" * 64, KEY_SHA256),
    )


@pytest.fixture
def service(settings: Settings) -> Service:
    return Service.open(settings)


@pytest.fixture
def client(service: Service) -> Client:
    return Client(Api(service))


@pytest.fixture
def start(tmp_path: Path, bundle: Path) -> Iterator[Start]:
    """Start a serving process by name; all of them are gone after the test."""
    started: list[Process] = []

    def start(name: str, bundle: Path = bundle, **changes: str) -> Process:
        process = Process(tmp_path, name, bundle, changes)
        started.append(process)
        return process.start()

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Process]:
    """One process for the tests that leave it as it was."""
    process = Process(tmp_path_factory.mktemp("serving"), "7", bundle).start()
    yield process.wait_ready()
    process.kill()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


@pytest.fixture
def asked(issuer: Issuer, capfd: pytest.CaptureFixture[str]) -> Iterator[Asked]:
    """Give the verifier; afterwards search what it wrote for what a token held."""
    made = Asked(issuer)
    yield made
    made.runner.close()
    written = "".join(capfd.readouterr())
    assert_silent(written, sign(issuer.v2()))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.quit()


@pytest.fixture
def page(browser: Browser, serving: Process) -> Iterator[Browser]:
    """The page, just opened; no test may end with a complaint of the browser."""
    browser.look(1280, dark=False)
    browser.open(serving.ask("status")["private_url"])
    yield browser
    assert browser.violations() == []
    # A refusal is a status that the browser tells of too.
    assert [line for line in browser.console() if "Failed to load resource" not in line] == []
