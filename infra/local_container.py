"""The API's image on this machine: built from a release's folder, run by the local Docker.

The same image as in a cluster, but for the release, which comes from a folder: a build context
named `release` takes the place of the build stage that would ask a registry. It runs under the same
restrictions, on loopback only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_docker as docker
import pulumi_docker_build as docker_build

from infra.image import (
    CONTEXT,
    DOCKERFILE,
    REPOSITORY,
    context_sha256,
    git_commit,
    image_tag,
    release_build_args,
)

__all__ = ["LocalContainer", "LocalContainerArgs", "LocalImage", "LocalImageArgs"]

_PORT = 8080
_USER = "65532:65532"
_MEMORY_MB = 256
_STOP_SECONDS = 15
_READY_SECONDS = 60
_HEALTH = ["CMD", "python", "-m", "app.health"]


@dataclass(frozen=True, kw_only=True)
class LocalImageArgs:
    """The folder of a release's bundle, its version and its manifest's hash."""

    release_dir: pulumi.Input[str]
    version: pulumi.Input[str]
    bundle_sha256: pulumi.Input[str]
    repository: str = REPOSITORY


class LocalImage(pulumi.ComponentResource):
    """An image in the local Docker; `ref` is its id, so that a tag that moved changes nothing."""

    ref: pulumi.Output[str]

    def __init__(
        self, name: str, args: LocalImageArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:image:LocalImage", name, None, opts)
        context = context_sha256()
        tag = pulumi.Output.concat(args.repository, ":", image_tag(args.version, context))
        built = docker_build.Image(
            f"{name}-build",
            context=docker_build.BuildContextArgs(
                location=CONTEXT,
                named={"release": docker_build.ContextArgs(location=args.release_dir)},
            ),
            dockerfile=docker_build.DockerfileArgs(location=DOCKERFILE),
            tags=[tag],
            build_args=release_build_args(args.version, args.bundle_sha256, context, git_commit()),
            push=False,
            load=True,
            build_on_preview=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # What a build loads has an id that only the Docker that loaded it knows.
        loaded = docker.RemoteImage(
            f"{name}-loaded",
            name=tag,
            keep_locally=True,
            triggers={"digest": built.digest, "bundle": args.bundle_sha256},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[built]),
        )
        self.ref = loaded.image_id
        self.register_outputs({"ref": self.ref})


@dataclass(frozen=True, kw_only=True)
class LocalContainerArgs:
    """Which image to run and where it listens on 127.0.0.1.

    `port` 0 takes any free one. `accepted_sha256` are the hashes of the accepted API keys,
    separated by commas, `environment` what else the API is told. `after` is what has to be there,
    or proven, before it starts.
    """

    image: pulumi.Input[str]
    accepted_sha256: pulumi.Input[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    port: int = 0
    after: Sequence[pulumi.Resource] = ()


class LocalContainer(pulumi.ComponentResource):
    """A container that is ready; `url` reaches it from this machine and from nowhere else."""

    url: pulumi.Output[str]
    container_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: LocalContainerArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:image:LocalContainer", name, None, opts)
        container = docker.Container(
            f"{name}-container",
            image=args.image,
            envs=[
                *(f"{name}={value}" for name, value in args.environment.items()),
                pulumi.Output.secret(pulumi.Output.concat("API_KEY_SHA256=", args.accepted_sha256)),
            ],
            ports=[
                docker.ContainerPortArgs(internal=_PORT, external=args.port or None, ip="127.0.0.1")
            ],
            read_only=True,
            user=_USER,
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges"],
            memory=_MEMORY_MB,
            restart="unless-stopped",
            must_run=True,
            stop_timeout=_STOP_SECONDS,
            destroy_grace_seconds=_STOP_SECONDS,
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=_HEALTH,
                interval="2s",
                timeout="3s",
                retries=15,
            ),
            wait=True,
            wait_timeout=_READY_SECONDS,
            # With a fixed port two cannot be at once; the caller proves a candidate on a port of
            # its own first.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.after),
                delete_before_replace=bool(args.port),
            ),
        )
        self.container_id = container.id
        self.url = container.ports.apply(_url)
        self.register_outputs({"url": self.url, "container_id": self.container_id})


def _url(ports: Any) -> str:
    # The embedded engine's preview answers with the inputs: the port that Docker will take is none.
    return f"http://127.0.0.1:{int(ports[0].external or 0)}"
