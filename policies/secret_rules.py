"""Rules on secrets: where they would stand in clear.

A policy gets every property decrypted and cannot tell which one was marked as secret. So these look
at places that are in clear however Pulumi treats them: config files, pod specs, config maps,
arguments of image builds (they stay in the image's history) and of jobs.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.credentials import secret_leaves
from policies.declared import Resource, at, each, entries, known_text
from policies.pods import containers, pod_spec
from policies.stack_config import StackConfig

__all__ = ["plain_config", "plain_inputs"]

_IMAGE_BUILD = "docker-build:index:Image"
_NAME = re.compile(r"[\w.-]+")


def plain_config(config: StackConfig) -> Iterator[tuple[str, str]]:
    """Nothing that looks like a secret stands in clear in a file under version control."""
    for file, values in config.files.items():
        for key, value in values.items():
            for leaf in secret_leaves(key, value):
                yield file, f"{leaf} looks like a secret, and is in clear"


def plain_inputs(resource: Resource, _: StackConfig) -> Iterator[str]:
    """Nothing that looks like a secret is handed on where others read it."""
    for name, value in _readable(resource):
        for leaf in secret_leaves(name, value):
            yield f"{leaf} looks like a secret, and is in clear"


def _readable(resource: Resource) -> Iterator[tuple[str, Any]]:
    properties = resource.properties
    if resource.kubernetes == "ConfigMap":
        yield from _prefixed("data", properties.get("data"))
        yield from _prefixed("binaryData", properties.get("binaryData"))
    elif resource.type == _IMAGE_BUILD:
        yield from _prefixed("buildArgs", properties.get("buildArgs"))
    elif resource.databricks == "Job":
        yield from _of_job(properties)
    for container in containers(pod_spec(resource)):
        for variable in each(container.properties.get("env")):
            yield f"{container.label}: env.{_name(variable)}", at(variable, "value")
        for key in ("command", "args"):
            yield from _arguments(f"{container.label}: {key}", container.properties.get(key))


def _of_job(properties: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for parameter in each(properties.get("parameters")):
        yield f"parameters.{_name(parameter)}", at(parameter, "default")
    tasks = each(properties.get("tasks"))
    for task in tasks:
        yield from _arguments("spark_python_task", at(task, "sparkPythonTask", "parameters"))
        yield from _arguments("python_wheel_task", at(task, "pythonWheelTask", "parameters"))
        yield from _prefixed("notebook_task", at(task, "notebookTask", "baseParameters"))
    for holder in (*tasks, *each(properties.get("jobClusters"))):
        for key in ("sparkEnvVars", "sparkConf"):
            yield from _prefixed(key, at(holder, "newCluster", key))


def _name(holder: object) -> str:
    """The name, or a word in its place: a value may look like a secret whatever it is called."""
    return known_text(at(holder, "name")) or "(unnamed)"


def _prefixed(prefix: str, mapping: object) -> Iterator[tuple[str, Any]]:
    for key, value in entries(mapping).items():
        yield f"{prefix}.{key}", value


def _arguments(prefix: str, arguments: object) -> Iterator[tuple[str, Any]]:
    """Yield `--name=value`, `name=value` and `--name` before a value, as a name and a value."""
    flag = ""
    for argument in each(arguments):
        text = known_text(argument) or ""
        name, has_value, value = text.partition("=")
        if has_value and _NAME.fullmatch(name):
            yield f"{prefix} {name}", value
        elif flag and not text.startswith("-"):
            yield f"{prefix} {flag}", text
        else:
            # Not by its text, which may be the secret.
            yield prefix, text
        flag = text if text.startswith("-") and not has_value else ""
