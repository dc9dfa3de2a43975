from pathlib import Path

import pytest

from app.settings import EntraSettings, Settings, SettingsError

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


# Who may call

TENANT = "11111111-2222-3333-4444-55555555aaaa"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"


def entra(folder: Path, **changes: str) -> dict[str, str]:
    return environment(
        folder, **{"ENTRA_TENANT_ID": TENANT, "ENTRA_AUDIENCE": "api://hr", **changes}
    )


def test_entra_takes_the_place_of_keys(tmp_path: Path) -> None:
    settings = Settings.from_environment(entra(tmp_path, API_KEY_SHA256=""))
    assert settings.api_key_sha256 == ()
    assert settings.entra is not None
    assert settings.entra == EntraSettings(
        tenant_id=TENANT, audiences=frozenset({"api://hr"}), issuer=ISSUER
    )
    assert settings.entra.issuers == (ISSUER, f"https://sts.windows.net/{TENANT}/")


def test_keys_and_entra_may_both_be_accepted(tmp_path: Path) -> None:
    changes = {"ENTRA_TENANT_ID": TENANT.upper(), "ENTRA_AUDIENCE": f"api://hr, {TENANT}"}
    settings = Settings.from_environment(entra(tmp_path, **changes))
    assert settings.api_key_sha256 == (SHA256,)
    assert settings.entra is not None
    assert settings.entra.audiences == {"api://hr", TENANT}
    assert settings.entra.tenant_id == TENANT


def test_keys_alone_are_the_default(tmp_path: Path) -> None:
    assert Settings.from_environment(environment(tmp_path)).entra is None


def test_an_issuer_of_another_cloud_is_accepted(tmp_path: Path) -> None:
    issuer = f"https://login.microsoftonline.us/{TENANT}/v2.0"
    settings = Settings.from_environment(entra(tmp_path, ENTRA_ISSUER=issuer))
    assert settings.entra is not None
    assert (settings.entra.issuer, settings.entra.loopback_http) == (issuer, False)


def test_an_issuer_in_clear_needs_the_switch(tmp_path: Path) -> None:
    issuer = f"http://127.0.0.1:8000/{TENANT}/v2.0"
    with pytest.raises(SettingsError, match=r"^ENTRA_ISSUER: expected the tenant"):
        Settings.from_environment(entra(tmp_path, ENTRA_ISSUER=issuer))
    changes = {"ENTRA_ISSUER": issuer, "ENTRA_LOOPBACK_HTTP": "true"}
    settings = Settings.from_environment(entra(tmp_path, **changes))
    assert settings.entra is not None
    assert settings.entra.issuer == issuer


@pytest.mark.parametrize("name", ["ENTRA_AUDIENCE", "ENTRA_ISSUER", "ENTRA_LOOPBACK_HTTP"])
def test_a_setting_of_entra_needs_the_tenant(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: set without ENTRA_TENANT_ID"):
        Settings.from_environment(environment(tmp_path, **{name: "x"}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("ENTRA_TENANT_ID", value) for value in ("contoso.com", "common", f"{TENANT}0")),
        *(
            ("ENTRA_AUDIENCE", value)
            for value in ("", " ", "a b", "a,", ",", ",".join("abcdefghi"))
        ),
        *(
            ("ENTRA_ISSUER", value)
            for value in (
                "login.microsoftonline.us",
                "https://login.microsoftonline.us/common/v2.0",
                f"http://login.microsoftonline.us/{TENANT}/v2.0",
                f"https://user:secret@login.microsoftonline.us/{TENANT}/v2.0",
                f"https://login.microsoftonline.us/v2.0?tenant={TENANT}",
            )
        ),
        *(("ENTRA_LOOPBACK_HTTP", value) for value in ("yes", "1", "True")),
    ],
)
def test_a_wrong_setting_of_entra_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: ") as raised:
        Settings.from_environment(entra(tmp_path, **{name: value}))
    assert "secret" not in str(raised.value)


# How much


def test_limits_have_defaults(tmp_path: Path) -> None:
    settings = Settings.from_environment(environment(tmp_path, MAX_IN_FLIGHT=" "))
    assert (settings.rate_limit_per_second, settings.rate_limit_burst) == (100, 200)
    assert (settings.max_in_flight, settings.docs_enabled) == (64, True)
    assert (settings.window_records, settings.window_seconds) == (20, 60)
    assert settings.otlp_endpoint is None


def test_limits_are_read(tmp_path: Path) -> None:
    changes = {
        "RATE_LIMIT_PER_SECOND": "1000000",
        "RATE_LIMIT_BURST": "1",
        "MAX_IN_FLIGHT": "010",
        "DOCS_ENABLED": "false",
        "WINDOW_RECORDS": "20",
        "WINDOW_SECONDS": "86400",
        "OTLP_ENDPOINT": " https://collector.example/otlp/ ",
    }
    settings = Settings.from_environment(environment(tmp_path, **changes))
    assert (settings.rate_limit_per_second, settings.rate_limit_burst) == (1_000_000, 1)
    assert (settings.max_in_flight, settings.docs_enabled) == (10, False)
    assert (settings.window_records, settings.window_seconds) == (20, 86_400)
    assert settings.otlp_endpoint == "https://collector.example/otlp/"


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
        *(
            (name, value)
            for name in ("RATE_LIMIT_PER_SECOND", "RATE_LIMIT_BURST", "MAX_IN_FLIGHT")
            for value in ("0", "-1", "1.5", "1e3", "many", "²", "9" * 5000)
        ),
        *(("WINDOW_RECORDS", value) for value in ("19", "1", "0", "1000001", "2e1")),
        *(("WINDOW_SECONDS", value) for value in ("0", "86401", "0.5")),
        *(
            ("OTLP_ENDPOINT", value)
            for value in (
                *("collector:4318", "ftp://collector", "http://", "http://:4318", "http://c:0"),
                *("http://c:99999", "http://me:secret@c:4318", "http://c/?a=1", "http://c/#a"),
                *("http://c\n:4318", "http://[c:4318"),
            )
        ),
        *(("DOCS_ENABLED", value) for value in ("yes", "1", "True", "off")),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "http"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: ") as raised:
        Settings.from_environment(environment(tmp_path, **{name: value}))
    assert "secret" not in str(raised.value)
    if name == "API_KEY_SHA256":
        assert value not in str(raised.value)
