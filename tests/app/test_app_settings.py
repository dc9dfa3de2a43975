from pathlib import Path

import pytest

from app.settings import Settings, SettingsError

SHA256 = "ab" * 32


def environment(folder: Path, **changes: str) -> dict[str, str]:
    required = {
        "RELEASE_DIR": str(folder),
        "RELEASE_VERSION": "7",
        "API_KEY_SHA256": SHA256,
    }
    return {**required, **changes}


def test_only_three_settings_are_required(tmp_path: Path) -> None:
    settings = Settings.from_environment(environment(tmp_path))
    assert (settings.host, settings.port, settings.release_sha256) == ("127.0.0.1", 0, None)
    assert settings.api_key_sha256 == (SHA256,)


def test_several_keys_and_capitals_are_accepted(tmp_path: Path) -> None:
    other = "CD" * 32
    settings = Settings.from_environment(environment(tmp_path, API_KEY_SHA256=f"{SHA256}, {other}"))
    assert settings.api_key_sha256 == (SHA256, other.lower())


def test_hashes_of_keys_are_not_in_the_repr(tmp_path: Path) -> None:
    assert SHA256 not in repr(Settings.from_environment(environment(tmp_path)))


@pytest.mark.parametrize("name", ["RELEASE_DIR", "RELEASE_VERSION", "API_KEY_SHA256"])
def test_a_missing_setting_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: not set"):
        Settings.from_environment(environment(tmp_path, **{name: " "}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELEASE_DIR", "/does/not/exist"),
        ("RELEASE_VERSION", "7\n8"),
        ("RELEASE_VERSION", "7" * 65),
        ("RELEASE_SHA256", "abc"),
        ("API_KEY_SHA256", "the key itself"),
        ("API_KEY_SHA256", f"{SHA256},"),
        ("API_KEY_SHA256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "http"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: ") as raised:
        Settings.from_environment(environment(tmp_path, **{name: value}))
    if name == "API_KEY_SHA256":
        assert value not in str(raised.value)
