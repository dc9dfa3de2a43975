"""Our Python packages as files of the Databricks workspace, in a folder named by their content.

A change makes a new folder beside the old one, and the old one goes when everything points to the
new: a run that is under way keeps its code, and no run ever sees half of a change.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_databricks as dbx

from contract.fingerprint import code_sha256, fingerprint

__all__ = ["RUNNER", "WorkspaceCode", "WorkspaceCodeArgs"]

RUNNER = "run_module.py"
"""The file, at the root of the code, that runs a module of it: see `infra.run_module`."""

_RUNNER_SOURCE = Path(__file__).with_name(RUNNER)
_MOUNT = "/Workspace"
"""Where compute sees the workspace's files; the workspace's own interface knows no such prefix."""
_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class WorkspaceCodeArgs:
    """The packages, folders under the project's, and the workspace folder that gets them."""

    packages: Sequence[str]
    root: str


class WorkspaceCode(pulumi.ComponentResource):
    """Uploaded code; it takes a Databricks provider in its options.

    `root` is the folder to put on `sys.path`, as compute sees it; what uses it waits for every
    file. `sha256` is `code_sha256` of the packages.
    """

    root: pulumi.Output[str]
    sha256: str

    def __init__(
        self, name: str, args: WorkspaceCodeArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:databricks:WorkspaceCode", name, None, opts)
        self.sha256 = code_sha256(args.packages)
        runner = hashlib.sha256(_RUNNER_SOURCE.read_bytes()).hexdigest()
        version = fingerprint(code=self.sha256, runner=runner)[:_DIGITS]
        folder = dbx.Directory(
            f"{name}-folder",
            dbx.DirectoryArgs(path=f"{args.root}/{version}", delete_recursive=True),
            opts=pulumi.ResourceOptions(parent=self),
        )
        files = [
            self._upload(name, folder, relative, source)
            for relative, source in _sources(args.packages).items()
        ]
        paths = pulumi.Output.all(folder.path, *(file.path for file in files))
        self.root = paths.apply(lambda found: f"{_MOUNT}{found[0]}")
        self.register_outputs({"root": self.root, "sha256": self.sha256})

    def _upload(
        self, name: str, folder: dbx.Directory, relative: str, source: Path
    ) -> dbx.WorkspaceFile:
        # The provider takes empty content for none; a blank line is the same module.
        content = source.read_bytes() or b"\n"
        return dbx.WorkspaceFile(
            # Without the content's hash: a change is a new version of this resource, not another.
            f"{name}-{relative}",
            dbx.WorkspaceFileArgs(
                path=pulumi.Output.concat(folder.path, "/", relative),
                content_base64=base64.b64encode(content).decode(),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _sources(packages: Sequence[str]) -> dict[str, Path]:
    """Map each file's path in the workspace folder to the file here."""
    modules = [path for package in sorted(packages) for path in sorted(Path(package).rglob("*.py"))]
    return {path.as_posix(): path for path in modules} | {RUNNER: _RUNNER_SOURCE}
