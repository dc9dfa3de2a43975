"""The kubeconfig's login, and that nothing else of it is touched."""

import base64
import json
import shutil
import subprocess
import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_world import KUBECONFIG, encoded

from infra.kubeconfig import KUBELOGIN_MODES, SERVER_ID, KubeconfigError, exec_login, with_login


def rewritten(mode: str = "azurecli", kubeconfig: str = KUBECONFIG) -> dict[str, Any]:
    return json.loads(with_login(encoded(kubeconfig), mode))


def test_a_laptop_logs_in_by_the_azure_cli() -> None:
    (user,) = rewritten("azurecli")["users"]
    assert user["user"]["exec"]["command"] == "kubelogin"
    assert user["user"]["exec"]["args"] == [
        "get-token",
        "--login",
        "azurecli",
        "--server-id",
        "6dae42f8-4368-4678-94ff-3960e28e3630",
    ]


def test_a_pipeline_logs_in_by_its_own_identity() -> None:
    """AKS's own client id must not be passed on: it would win over AZURE_CLIENT_ID."""
    (user,) = rewritten("workloadidentity")["users"]
    args = user["user"]["exec"]["args"]
    assert args[1:3] == ["--login", "workloadidentity"]
    assert not {"--client-id", "--tenant-id", "--environment"} & set(args)


@pytest.mark.parametrize("mode", KUBELOGIN_MODES)
def test_nobody_is_asked_for_anything(mode: str) -> None:
    login = exec_login(mode)
    assert login["interactiveMode"] == "Never"
    assert "devicecode" not in with_login(encoded(KUBECONFIG), mode)


def test_the_cluster_and_its_certificate_stay_as_they_are() -> None:
    before = yaml.safe_load(KUBECONFIG)
    after = rewritten()
    assert {**before, "users": None} == {**after, "users": None}
    assert [user["name"] for user in after["users"]] == [user["name"] for user in before["users"]]


def test_every_user_gets_the_login_and_loses_what_it_had() -> None:
    kubeconfig = yaml.safe_load(KUBECONFIG)
    kubeconfig["users"] += [{"name": "admin", "user": {"token": "a-token", "client-key-data": "k"}}]
    after = rewritten(kubeconfig=yaml.safe_dump(kubeconfig))
    assert [user["user"] for user in after["users"]] == [{"exec": exec_login("azurecli")}] * 2
    assert "a-token" not in json.dumps(after)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
@pytest.mark.parametrize("mode", KUBELOGIN_MODES)
def test_kubectl_runs_the_login(tmp_path: Path, mode: str) -> None:
    """With a kubelogin that notes what it is asked, and hands out a token for nobody."""
    kubelogin = tmp_path / "kubelogin"
    asked = tmp_path / "asked"
    kubelogin.write_text(
        "#!/bin/sh\n"
        f'echo "$@" > {asked}\n'
        'echo \'{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1",'
        '"status":{"token":"t"}}\'\n'
    )
    kubelogin.chmod(0o755)
    kubeconfig = rewritten(mode)
    # A port that nobody listens on: the login comes before the connection.
    kubeconfig["clusters"][0]["cluster"] = {"server": "https://127.0.0.1:1"}
    config = tmp_path / "config"
    config.write_text(json.dumps(kubeconfig))
    result = subprocess.run(
        ["kubectl", "--kubeconfig", config, "get", "--raw", "/healthz"],
        env={"PATH": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.read_text().split() == ["get-token", "--login", mode, "--server-id", SERVER_ID]
    assert "refused" in result.stderr


def test_another_mode_is_refused_by_name() -> None:
    with pytest.raises(KubeconfigError, match=r"`kubeloginMode` is 'devicecode'; use one of azure"):
        exec_login("devicecode")


@pytest.mark.parametrize(
    "wrong",
    [
        "not base64!",
        base64.b64encode(b"\xff\xfe").decode(),
        encoded("{"),
        encoded("[]"),
        encoded("kind: Config\nclusters: []\nusers: []\n"),
        encoded("kind: Config\nclusters: [{name: a}]\nusers: []\n"),
        encoded("kind: Secret\nclusters: [{name: a}]\nusers: [{name: a}]\n"),
        "",
    ],
)
def test_what_is_no_kubeconfig_is_refused(wrong: str) -> None:
    with pytest.raises(KubeconfigError, match="names no cluster or no user"):
        with_login(wrong, "azurecli")


def test_an_error_does_not_show_what_it_could_not_read() -> None:
    """Its cause would: a YAML error quotes the line, and a traceback prints every cause."""
    wrong = encoded("users: [{token: secret-token}\n:")
    with pytest.raises(KubeconfigError) as refused:
        with_login(wrong, "azurecli")
    assert "secret-token" not in "".join(traceback.format_exception(refused.value))
