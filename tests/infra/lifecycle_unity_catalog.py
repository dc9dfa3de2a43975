"""A server that answers MLflow as a Databricks workspace with Unity Catalog does.

MLflow's own client for `databricks-uc` speaks to it, so what that client refuses is refused here
too. The server keeps to what Unity Catalog does differently from MLflow's own stores: searches that
know one filter and return no tags, tags with limits, codes of its own for what is missing, versions
without files, and files that only a version's name leads to.
"""

import json
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from contract.release import BUNDLE_PATH
from tests.infra.lifecycle_store import seal_release

MODEL = "main.hr.attrition"
TOKEN = "a-token-of-the-test"
_API = "/api/2.0/mlflow/unity-catalog"
_PAGE = 2
_TAGS = 50


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class UnityCatalog:
    """One registered model and what is known of it; `calls` are the requests so far."""

    def __init__(self) -> None:
        self.url = ""
        self.missing = "RESOURCE_DOES_NOT_EXIST"
        self.model_tags: dict[str, str] | None = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.aliases: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.unknown: list[str] = []

    @property
    def address(self) -> dict[str, str]:
        return {
            "model_name": MODEL,
            "tracking_uri": "databricks",
            "registry_uri": "databricks-uc",
            "host": self.url,
            "azure_resource_id": "",
        }

    def add(self, fingerprint: str = "f", *, status: str = "READY") -> str:
        """Add a version, with a sealed bundle's files once it is ready; return its number."""
        version = str(len(self.versions) + 1)
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder, "bundle")
            sha256 = seal_release(bundle, {"cv_roc_auc": 0.82})
            if status == "READY":
                self.files |= {
                    f"{self.folder(version)}/{file.name}": file.read_bytes()
                    for file in bundle.iterdir()
                }
        tags = {
            "fingerprint": fingerprint,
            "bundle_sha256": sha256,
            "metrics": '{"cv_roc_auc": 0.82}',
        }
        self.versions[version] = {"tags": tags, "status": status}
        return version

    def folder(self, version: str) -> str:
        """Where a version's bundle is, by the version's name."""
        return f"/Models/{MODEL.replace('.', '/')}/{version}/{BUNDLE_PATH}"

    def answer(self, method: str, path: str, given: dict[str, Any]) -> dict[str, Any]:
        """Do what one request asks for."""
        match method, path.removeprefix(_API):
            case "GET", "/registered-models/get":
                return {"registered_model": {"name": MODEL, "tags": _listed(self._model(given))}}
            case "POST", "/registered-models/set-tag":
                _set(self._model(given), given)
            case "DELETE", "/registered-models/delete-tag":
                self._delete(self._model(given), given)
            case "POST", "/registered-models/alias":
                self._version(given)
                self.aliases[given["alias"]] = given["version"]
            case "GET", "/registered-models/alias":
                return self._one({**given, "version": self._alias(given)})
            case "DELETE", "/registered-models/alias":
                del self.aliases[self._alias(given) and given["alias"]]
            case "GET", "/model-versions/get":
                return self._one(given)
            case "GET", "/model-versions/search":
                return self._search(given)
            case "POST", "/model-versions/set-tag":
                _set(self._version(given)["tags"], given)
            case "DELETE", "/model-versions/delete-tag":
                self._delete(self._version(given)["tags"], given)
            case "GET", "/model-versions/get-download-uri":
                # A storage account that only credentials for this version open.
                return {"artifact_uri": "abfss://unity@nowhere.invalid/a/b/c"}
            case "POST", "/model-versions/generate-temporary-credentials":
                self._version(given)
                return {"credentials": {"storage_mode": "DEFAULT_STORAGE"}}
            case "GET", "/registered-models:is-databricks-sdk-models-artifact-repository-enabled":
                return {"is_databricks_sdk_models_artifact_repository_enabled": False}
            case "GET", folder if folder.startswith("/api/2.0/fs/directories/Models/"):
                return self._list(folder.removeprefix("/api/2.0/fs/directories"))
            case "POST", "/api/2.0/fs/create-download-url":
                return {"url": f"{self.url}/signed{given['path']}"}
            case _:
                self.unknown.append(f"{method} {path}")
                raise RefusedError(501, "NOT_IMPLEMENTED", f"unexpected: {method} {path}")
        return {}

    def _model(self, given: dict[str, Any]) -> dict[str, str]:
        if given["name"].count(".") != 2:
            message = f"Invalid name '{given['name']}': specify all three levels"
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", message)
        if given["name"] != MODEL or self.model_tags is None:
            raise self._gone(f"Routine or Model '{given['name']}' does not exist.")
        return self.model_tags

    def _version(self, given: dict[str, Any]) -> dict[str, Any]:
        self._model(given)
        if given["version"] not in self.versions:
            raise self._gone(f"Model version {given['version']} does not exist.")
        return self.versions[given["version"]]

    def _alias(self, given: dict[str, Any]) -> str:
        self._model(given)
        if given["alias"] not in self.aliases:
            raise self._gone(f"Alias '{given['alias']}' does not exist.")
        return self.aliases[given["alias"]]

    def _one(self, given: dict[str, Any]) -> dict[str, Any]:
        version = self._version(given)
        listed = [{"alias": a, "version": v} for a, v in self.aliases.items()]
        found = {"name": MODEL, "version": given["version"], "status": version["status"]}
        tags = _listed(version["tags"])
        return {"model_version": {**found, "tags": tags, "aliases": listed}}

    def _search(self, given: dict[str, Any]) -> dict[str, Any]:
        name = str(given["filter"]).removeprefix("name = '").removesuffix("'")
        if given["filter"] != f"name = '{name}'" or "order_by" in given:
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", "Unsupported filter or order")
        self._model({"name": name})
        begin = int(given.get("page_token") or 0)
        page = list(self.versions)[begin : begin + _PAGE]
        found = [
            {"name": MODEL, "version": version, "status": self.versions[version]["status"]}
            for version in page
        ]
        end = begin + _PAGE
        more = {"next_page_token": str(end)} if end < len(self.versions) else {}
        return {"model_versions": found, **more}

    def _delete(self, tags: dict[str, str], given: dict[str, Any]) -> None:
        if given["key"] not in tags:
            raise self._gone(f"Tag {given['key']} does not exist.")
        del tags[given["key"]]

    def _list(self, folder: str) -> dict[str, Any]:
        inside = [path for path in self.files if path.startswith(f"{folder}/")]
        if not inside:
            raise RefusedError(404, "NOT_FOUND", "The directory being accessed is not found.")
        names = {path.removeprefix(f"{folder}/").partition("/") for path in inside}
        return {
            "contents": [
                {"path": f"{folder}/{name}", "is_directory": bool(rest), "file_size": 1}
                for name, rest, _ in sorted(names)
            ]
        }

    def _gone(self, message: str) -> RefusedError:
        return RefusedError(404, self.missing, message)


def _set(tags: dict[str, str], given: dict[str, Any]) -> None:
    key, value = str(given["key"]), str(given["value"])
    full = len(tags) >= _TAGS and key not in tags
    if set(key) & set(".,-=/:") or len(key) > 255 or len(value) > 1000 or full:
        raise RefusedError(400, "INVALID_PARAMETER_VALUE", f"Tag {key!r} is not allowed")
    tags[key] = value


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


@contextmanager
def serving(catalog: UnityCatalog) -> Generator[None]:
    """Serve the catalog on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            path = urlsplit(self.path).path
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
            given: dict[str, Any] = {**query, **(json.loads(body) if body else {})}
            signed = path.removeprefix("/signed")
            if signed != path:
                self.reply(200, catalog.files[signed])
            elif not path.startswith("/api/"):
                # Where the SDK asks what kind of host this is.
                self.reply(200, b"{}")
            else:
                catalog.calls.append(f"{self.command} {path}")
                self.reply(*self.result(path, given))

        def result(self, path: str, given: dict[str, Any]) -> tuple[int, bytes]:
            try:
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    raise RefusedError(403, "PERMISSION_DENIED", "Invalid access token.")
                return 200, json.dumps(catalog.answer(self.command, path, given)).encode()
            except RefusedError as error:
                answer = {"error_code": error.code, "message": str(error)}
                return error.status, json.dumps(answer).encode()

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_PATCH = respond

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    catalog.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
