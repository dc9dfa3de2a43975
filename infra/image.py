"""The API's image: a pure function of the app's code and one release, built once and for ever.

BuildKit fetches the release in a build stage (app/Dockerfile), so a machine that has never seen
it builds the same image, and a preview builds nothing. It is built by staging; production deploys
the digest that staging proved. Taking the stack away leaves the image where it is: the digest may
be what production runs.

Sign-in is by the deployer's own Azure identity. The registry gives a short-lived password for it;
the workspace's token reaches the build as a BuildKit secret, which no layer and no history keeps.
"""

import hashlib
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker_build as docker_build
from pulumi_azure_native import authorization

from infra.lifecycle.errors import LifecycleError
from infra.lifecycle.registry import RegistryAddress

__all__ = [
    "CONTEXT",
    "DOCKERFILE",
    "REPOSITORY",
    "Image",
    "ImageArgs",
    "ImageError",
    "context_sha256",
    "git_commit",
    "image_tag",
    "registry_password",
    "release_build_args",
]

REPOSITORY = "attrition-api"
CONTEXT, DOCKERFILE = ".", "app/Dockerfile"
"""Relative to the project's folder, in which Pulumi runs program and providers."""

_DATABRICKS = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
"""Azure Databricks' application id in every tenant: the audience of its tokens."""

_NO_USER = "00000000-0000-0000-0000-000000000000"
"""What Azure Container Registry wants as the user of a password that is a token."""

_TOKEN_SECRET = "databricks_token"  # noqa: S105 - a name that app/Dockerfile uses too
_CACHE_TAG = "build-cache"
_TIMEOUT_SECONDS = 30
_PREVIEW_DIGEST = f"sha256:{'0' * 64}"
_PARTS = ("app", "contract", "image")
_UNKNOWN = "unknown"


class ImageError(LifecycleError):
    """The image cannot be built or pushed; the message names the registry, never a token."""


@dataclass(frozen=True, kw_only=True)
class ImageArgs:
    """Which release goes into the image, and where the image goes.

    `registry_server` is the container registry's address (`<name>.azurecr.io`), `registry` the
    model registry's. `bundle_sha256` is the hash that the release must have when it is fetched.
    """

    registry_server: pulumi.Input[str]
    registry: RegistryAddress
    version: pulumi.Input[str]
    bundle_sha256: pulumi.Input[str]
    repository: str = REPOSITORY


class Image(pulumi.ComponentResource):
    """A pushed image; `ref` names it by digest: "server/repository@sha256:…"."""

    ref: pulumi.Output[str]

    def __init__(
        self, name: str, args: ImageArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:image:Image", name, None, opts)
        built = self._build(name, args)
        self.ref = pulumi.Output.all(args.registry_server, args.repository, built.digest).apply(
            _by_digest
        )
        self.register_outputs({"ref": self.ref})

    def _build(self, name: str, args: ImageArgs) -> docker_build.Image:
        invoke = pulumi.InvokeOutputOptions(parent=self)
        repository = pulumi.Output.concat(args.registry_server, "/", args.repository)
        context = context_sha256()
        registry = args.registry
        cache = pulumi.Output.concat(repository, ":", _CACHE_TAG)
        return docker_build.Image(
            f"{name}-build",
            context=docker_build.BuildContextArgs(location=CONTEXT),
            dockerfile=docker_build.DockerfileArgs(location=DOCKERFILE),
            platforms=[docker_build.Platform.LINUX_AMD64],
            tags=[pulumi.Output.concat(repository, ":", image_tag(args.version, context))],
            build_args={
                **release_build_args(args.version, args.bundle_sha256, context, git_commit()),
                "MODEL_NAME": registry.model_name,
                "TRACKING_URI": registry.tracking_uri,
                "REGISTRY_URI": registry.registry_uri or registry.tracking_uri,
                "DATABRICKS_HOST": registry.host,
            },
            secrets={
                _TOKEN_SECRET: pulumi.Output.secret(
                    authorization.get_client_token_output(endpoint=_DATABRICKS, opts=invoke).token
                )
            },
            # It differs in every run: no reason to build again.
            ignore_secrets_in_diff_calculation=[_TOKEN_SECRET],
            registries=[_sign_in(args.registry_server, invoke)],
            cache_from=[
                docker_build.CacheFromArgs(registry=docker_build.CacheFromRegistryArgs(ref=cache))
            ],
            cache_to=[_cache_to(cache)],
            push=True,
            build_on_preview=False,
            # By the machine's own `docker buildx`, which attaches provenance to what it pushes: the
            # client inside the provider (0.0.22) switches that off. Neither can be asked for an
            # SBOM: a build stage writes one into the image (image/write_sbom.py).
            exec_=True,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )


def context_sha256(root: Path = Path()) -> str:
    """Hash what an image is made of beside its release, as app/Dockerfile.dockerignore has it.

    Raises:
        ImageError: a part is not there, so that it could change unseen.
    """
    digest = hashlib.sha256()
    for part in _PARTS:
        files = [
            path
            for path in sorted((root / part).rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        ]
        if not files:
            raise ImageError(f"there is nothing in {root / part}: run this in the project's folder")
        for path in files:
            name = path.relative_to(root).as_posix()
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def git_commit(root: Path = Path()) -> str:
    """Name the last commit that changed what an image is made of, or "unknown".

    Not the newest commit: that would be a reason to build again what is the same. It is unknown
    outside a repository, with changes that are in no commit, and in a clone without its history,
    where the newest commit seems to have changed everything.
    """
    try:
        changes = _git(root, "status", "--porcelain", "--", *_PARTS)
        shallow = _git(root, "rev-parse", "--is-shallow-repository")
        commit = _git(root, "log", "-1", "--format=%H", "--", *_PARTS)
    except (OSError, subprocess.SubprocessError):
        return _UNKNOWN
    return commit if commit and not changes and shallow == "false" else _UNKNOWN


def image_tag(version: pulumi.Input[str], context: str) -> pulumi.Output[str]:
    """Tag an image by its release and the code around it: for people, who deploy by digest."""
    return pulumi.Output.concat(version, "-", context[:12])


def release_build_args(
    version: pulumi.Input[str], bundle_sha256: pulumi.Input[str], context: str, commit: str
) -> dict[str, pulumi.Input[str]]:
    """Tell a build which release it gets, wherever from, and which code goes around it."""
    return {
        "RELEASE_VERSION": version,
        "RELEASE_SHA256": bundle_sha256,
        "CONTEXT_SHA256": context,
        "GIT_COMMIT": commit,
    }


def registry_password(server: str, access_token: str) -> str:
    """Exchange an Azure access token for a password of the container registry, good for 3 hours.

    Raises:
        ImageError: the registry does not answer within 30 s, or lets this identity not in.
    """
    form = {"grant_type": "access_token", "service": server, "access_token": access_token}
    request = urllib.request.Request(
        f"https://{server}/oauth2/exchange", urllib.parse.urlencode(form).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - the scheme is ours
            return str(json.loads(answer.read())["refresh_token"])
    except urllib.error.HTTPError as error:
        error.close()  # It is the answer as well, and keeps the connection.
        raise ImageError(
            f"container registry {server}: sign-in refused with status {error.code}; the deployer "
            "needs the role AcrPush on it"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise ImageError(f"container registry {server}: no sign-in: {reason}") from error


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - arguments written above
        ["git", *arguments],  # noqa: S607 - the deployer's own
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=_TIMEOUT_SECONDS,
    )
    return done.stdout.strip()


def _cache_to(ref: pulumi.Input[str]) -> docker_build.CacheToArgs:
    """Keep every stage's layers; a cache that cannot be written is no reason to fail."""
    registry = docker_build.CacheToRegistryArgs(
        ref=ref, mode=docker_build.CacheMode.MAX, ignore_error=True
    )
    return docker_build.CacheToArgs(registry=registry)


def _sign_in(
    server: pulumi.Input[str], invoke: pulumi.InvokeOutputOptions
) -> docker_build.RegistryArgs:
    token = authorization.get_client_token_output(opts=invoke).token
    return docker_build.RegistryArgs(
        address=server,
        username=_NO_USER,
        password=pulumi.Output.secret(pulumi.Output.all(server, token).apply(_password)),
    )


def _password(known: list[Any]) -> str:
    # A preview pushes nothing; and another password is no reason to build again.
    return "" if pulumi.runtime.is_dry_run() else registry_password(known[0], known[1])


def _by_digest(known: list[Any]) -> str:
    server, repository, digest = known
    if not digest and not pulumi.runtime.is_dry_run():
        raise ImageError(f"{server}/{repository}: the build pushed no image")
    # A preview of a new build that the provider does not mark as unknown.
    return f"{server}/{repository}@{digest or _PREVIEW_DIGEST}"
