"""What a release holds: the serving bundle's files and manifest, and the tags on its model version.

A bundle is one flat folder of JSON files. `manifest.json` carries the sha-256 of every other file;
the sha-256 of the manifest itself is the bundle's identity and is written on the model version, so
that neither a file nor the manifest can change unnoticed.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = [
    "BUNDLE_FORMAT",
    "BUNDLE_PATH",
    "CARD",
    "CLASSIFIER",
    "DRIFT",
    "EVIDENCE",
    "EXAMPLE_REQUEST",
    "MANIFEST",
    "OUTLIERS",
    "PROBABILITIES",
    "REFERENCE",
    "TAG_BUNDLE",
    "TAG_CODE",
    "TAG_DATA",
    "TAG_FINGERPRINT",
    "TAG_METRICS",
    "TAG_MOVED",
    "TAG_PROVEN",
    "TAG_USED_BY",
    "ReleaseError",
    "check_tag",
    "seal",
    "verify",
]

BUNDLE_FORMAT = 2
"""Version of the bundle's layout; a reader refuses a format that it does not know."""

BUNDLE_PATH = "artifacts/bundle"
"""Where the bundle lies inside the registered model's folder."""

MANIFEST = "manifest.json"
CLASSIFIER = "classifier.json"
OUTLIERS = "outliers.json"
DRIFT = "drift.json"
"""The drift detector: each field's bins, which telemetry counts in too, and the table's counts."""
PROBABILITIES = "probabilities"
"""Key in `DRIFT`: the table's records by tenth of the predicted probability, lowest first.

Only monitoring reads it, and does without where an older release of this format has none.
"""
REFERENCE = "reference.json"
"""`tolerance`, and `records`: made-up ones, each with the `answer` that the API must give."""
EXAMPLE_REQUEST = "example.json"
EVIDENCE = "evidence.json"
"""Every figure of the release; those in the registry's tags are copies."""
CARD = "model-card.md"
"""The evidence retold for people; the plots that it shows are with the training run."""

TAG_FINGERPRINT = "fingerprint"
"""Model-version tag: hash of code, data, parameters and nonce; equal hashes, equal releases."""
TAG_BUNDLE = "bundle_sha256"
TAG_DATA = "data_sha256"
TAG_CODE = "code_sha256"
TAG_METRICS = "metrics"
"""Model-version tag: the release's headline figures, one JSON object of name to number."""
TAG_PROVEN = "proven_"
"""Model-version tag, followed by the stage: the smoke test's evidence as a JSON object."""
TAG_MOVED = "moved_"
"""Model-version tag, followed by stage, `_` and UTC time: a move of the stage's alias here."""
TAG_USED_BY = "used_by_"
"""Registered-model tag, followed by the stage: an environment that depends on the registry."""

_TAG_KEY_LENGTH = 255
_TAG_VALUE_LENGTH = 1000
_NOT_IN_TAG_KEYS = ".,-=/:"
"""What Unity Catalog takes as a tag (its documentation, 2026-11); other registries take more."""


class ReleaseError(Exception):
    """A bundle is incomplete, altered, or of a format that this code does not read."""


def check_tag(key: str, value: str) -> None:
    """Refuse a tag that Unity Catalog would, so that no registry has one that another cannot take.

    Raises:
        ReleaseError: naming the tag, and what is wrong with its key or its value's length.
    """
    refused = sorted({character for character in key if character in _NOT_IN_TAG_KEYS})
    if refused or not key or key != key.strip():
        found = f"contains {' '.join(refused)!r}" if refused else "is empty or ends in a space"
        raise ReleaseError(
            f"tag {key!r}: its key {found}, which Unity Catalog refuses; use letters, digits, `_`"
        )
    if len(key) > _TAG_KEY_LENGTH:
        raise ReleaseError(
            f"tag {key!r}: its key has {len(key)} characters; at most {_TAG_KEY_LENGTH} are allowed"
        )
    if len(value) > _TAG_VALUE_LENGTH:
        raise ReleaseError(
            f"tag {key!r}: its value has {len(value)} characters; at most {_TAG_VALUE_LENGTH} are "
            "allowed"
        )


def seal(bundle: Path) -> str:
    """Write the manifest of the files in `bundle`; return its own sha-256 (64 hex digits)."""
    files = {path.name: _sha256(path) for path in sorted(bundle.iterdir()) if path.name != MANIFEST}
    manifest = {"format": BUNDLE_FORMAT, "files": files}
    content = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    # As bytes: the manifest's hash is the bundle's identity, the same on every system.
    (bundle / MANIFEST).write_bytes(content.encode())
    return _sha256(bundle / MANIFEST)


def verify(bundle: Path, expected_sha256: str | None = None) -> str:
    """Check every file of `bundle` against its manifest; return the manifest's sha-256.

    `expected_sha256` is what the model version's `bundle_sha256` tag says, where it is known.

    Raises:
        ReleaseError: naming the first file that is missing, altered or not in the manifest.
    """
    try:
        content = (bundle / MANIFEST).read_bytes()
    except OSError as error:
        raise ReleaseError(f"{bundle}: no readable {MANIFEST} ({error.strerror})") from error
    actual = hashlib.sha256(content).hexdigest()
    if expected_sha256 is not None and actual != expected_sha256:
        raise ReleaseError(
            f"{bundle / MANIFEST}: its sha-256 is {actual[:12]}…, the registry says "
            f"{expected_sha256[:12]}…; the release was altered: train or fetch it again"
        )
    files = _manifest_files(bundle, content)
    present = {path.name for path in bundle.iterdir()} - {MANIFEST}
    if strangers := sorted(present - files.keys()):
        raise ReleaseError(f"{bundle / strangers[0]}: not in {MANIFEST}; the release was altered")
    for name, sha256 in sorted(files.items()):
        if name not in present:
            raise ReleaseError(f"{bundle / name}: named in {MANIFEST} but missing")
        if _sha256(bundle / name) != sha256:
            raise ReleaseError(
                f"{bundle / name}: its sha-256 is not the one in {MANIFEST}; the release was "
                "altered: train or fetch it again"
            )
    return actual


def _manifest_files(bundle: Path, content: bytes) -> dict[str, str]:
    try:
        manifest: Any = json.loads(content)
        found, files = manifest["format"], dict[str, str](manifest["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"{bundle / MANIFEST}: not a release manifest") from error
    if found != BUNDLE_FORMAT:
        raise ReleaseError(
            f"{bundle / MANIFEST}: bundle format {found}; this code reads format {BUNDLE_FORMAT}"
        )
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
