"""The figures that a release was sealed with, against which its tag is checked.

Gates are asked of the registry's tag `metrics`, which whoever may write tags can change. The same
figures are in the bundle's evidence, under a chain of hashes: the manifest has the file's, the tag
`bundle_sha256` the manifest's. So one changed tag, or one changed file, contradicts the rest.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from contract import release as contract
from infra.lifecycle.registry import Registry, Release

__all__ = ["sealed_figures"]


def sealed_figures(registry: Registry, release: Release) -> dict[str, float]:
    """Fetch and verify the bundle of `release`; return every figure of its evidence by name.

    Raises:
        ReleaseError: the files are not those that were registered, hold no evidence, or say
            another number than the tag `metrics`; the message names file or figure and numbers.
        RegistryError: the registry does not answer, or has no files of this release.
    """
    with tempfile.TemporaryDirectory() as folder:
        bundle = registry.fetch_bundle(release.version, Path(folder))
        try:
            contract.verify(bundle, release.bundle_sha256)
        except contract.ReleaseError as error:
            # Without the folder, which is gone when somebody reads this.
            found = str(error).removeprefix(str(bundle)).lstrip("/: ")
            raise contract.ReleaseError(found) from error
        figures = _read(bundle / contract.EVIDENCE)
    if differences := _differences(release.metrics, figures):
        raise contract.ReleaseError("\n  ".join(differences))
    return figures


def _read(path: Path) -> dict[str, float]:
    try:
        figures: dict[str, Any] = json.loads(path.read_bytes())["figures"]
        return {name: float(figure["value"]) for name, figure in figures.items()}
    except FileNotFoundError as error:
        raise contract.ReleaseError(f"{path.name}: the release was sealed without it") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise contract.ReleaseError(f"{path.name}: it has no `figures` with a `value`") from error


def _differences(tag: dict[str, float], evidence: dict[str, float]) -> list[str]:
    """Say of each number of the tag that is not exactly the evidence's what both have."""
    return [
        f"{name}: {said} in the tag `{contract.TAG_METRICS}`, "
        + (f"{evidence[name]} in" if name in evidence else "not in")
        + f" the release's {contract.EVIDENCE}"
        for name, said in sorted(tag.items())
        if evidence.get(name) != said
    ]
