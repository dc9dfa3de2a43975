"""Write what the image holds as an SPDX 2.3 document: the API, Python, its packages, Debian's.

    python write_sbom.py PACKAGES ROOT FILE

PACKAGES has the installed packages, ROOT the rest of the image's file system (image/root.py);
RELEASE_VERSION and RELEASE_SHA256 name the release. The document goes into the image, whose digest
then vouches for it: BuildKit could attest one beside the image, but Pulumi's provider (0.0.22) has
no input to ask for that.
"""

import json
import os
import platform
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

__all__ = ["document", "main"]

_ROOT = "SPDXRef-image"
_DPKG = "var/lib/dpkg/status.d"


def main() -> int:
    """Write the document of this machine, which is a build stage; return the exit code."""
    packages, root, target = sys.argv[1:]
    found = document(
        [packages],
        "\n\n".join(path.read_text() for path in sorted(Path(root, _DPKG).iterdir())),
        version=os.environ["RELEASE_VERSION"],
        sha256=os.environ["RELEASE_SHA256"],
    )
    Path(target).write_text(json.dumps(found, indent=1) + "\n")
    return 0


def document(paths: list[str], dpkg: str, *, version: str, sha256: str) -> dict[str, Any]:
    """Describe the Python packages below `paths` and the Debian ones of a dpkg status file."""
    api = _package(_ROOT, "attrition-api", version, "")
    api["comment"] = f"the release whose manifest has the sha-256 {sha256}"
    found = {package["SPDXID"]: package for package in (*_python(paths), *_debian(dpkg))}
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"attrition-api-{version}",
        "documentNamespace": f"urn:uuid:{uuid.uuid4()}",
        "creationInfo": {
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: employee-retention/image/write_sbom.py"],
        },
        "packages": [api, *found.values()],
        "relationships": [
            _related("SPDXRef-DOCUMENT", "DESCRIBES", _ROOT),
            *(_related(_ROOT, "CONTAINS", id_) for id_ in found),
        ],
    }


def _python(paths: list[str]) -> Iterator[dict[str, Any]]:
    version = platform.python_version()
    yield _package("SPDXRef-python", "cpython", version, f"pkg:generic/cpython@{version}")
    for distribution in distributions(path=paths):
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        purl = f"pkg:pypi/{name}@{distribution.version}"
        yield _package(f"SPDXRef-pypi-{name}", name, distribution.version, purl)


def _debian(dpkg: str) -> Iterator[dict[str, Any]]:
    for block in dpkg.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.+)$", block, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{name}@{version}?arch={fields['Architecture']}"
            yield _package(f"SPDXRef-deb-{name}", name, version, purl)


def _package(id_: str, name: str, version: str, purl: str) -> dict[str, Any]:
    reference = {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": purl,
    }
    return {
        # Letters, digits, dots and dashes are all that an identifier may have.
        "SPDXID": re.sub(r"[^A-Za-z0-9.-]", "-", id_),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        **({"externalRefs": [reference]} if purl else {}),
    }


def _related(element: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": other}


if __name__ == "__main__":
    sys.exit(main())
