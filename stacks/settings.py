"""Settings of each kind of stack: read from `pulumi.Config` once, checked, frozen.

Pulumi.yaml describes each key. What can only be said here are ranges and patterns, and what must
hold between keys.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pulumi

from infra.lifecycle.gates import Gate
from stacks.api_settings import ApiSettings, read_api
from stacks.reader import Reader

__all__ = ["EnvironmentSettings", "LocalSettings", "SharedSettings"]

_REGION = r"[a-z]+[a-z0-9]*"
_PREFIX = r"[a-z][a-z0-9]{2,11}"
_STAGE = r"[a-z][a-z0-9_]{1,30}"
_HOSTNAME = r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
_CIDR = r"(\d{1,3}\.){3}\d{1,3}(/\d{1,2})?"
_EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"
_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_IDENTIFIER = r"[A-Za-z0-9_]+"
_CRON = r"\S+( \S+){5,6}"


@dataclass(frozen=True, kw_only=True)
class _TrainingSettings:
    """What decides a training run, on a laptop and on Databricks."""

    dataset: str
    training_parameters: Mapping[str, Any]
    training_timeout_minutes: int
    retrain: str


@dataclass(frozen=True, kw_only=True)
class _StageSettings:
    """What decides which release reaches a stage."""

    gates: tuple[Gate, ...]
    release_version: str
    release_reason: str


@dataclass(frozen=True, kw_only=True)
class _AzureSettings:
    """What every stack on Azure has; `tags` includes those that every resource gets."""

    location: str
    name_prefix: str
    tags: Mapping[str, str]
    protect: bool


@dataclass(frozen=True, kw_only=True)
class LocalSettings(_TrainingSettings, _StageSettings, ApiSettings):
    """Settings of the stack `local`."""

    api_port: int
    api_runtime: str

    @classmethod
    def load(cls) -> "LocalSettings":
        """Read the selected stack's config.

        Raises:
            SettingsError: a key is unknown or its value is wrong.
        """
        reader = _reader(cls)
        api_runtime = reader.choice("apiRuntime", "process", "container")
        return cls(
            **_training(reader),
            **_stage(reader),
            **read_api(reader, on_this_machine=api_runtime == "process"),
            api_port=reader.integer("apiPort", 1, 65_535, example=8000),
            api_runtime=api_runtime,
        )


@dataclass(frozen=True, kw_only=True)
class SharedSettings(_AzureSettings, _TrainingSettings):
    """Settings of the stack `shared`."""

    tracking_uri: str
    registry_uri: str
    catalog: str
    schema: str
    training_compute: str
    job_cluster_spark_version: str
    job_cluster_node_type: str
    training_schedule: str
    failure_emails: tuple[str, ...]
    job_run_as: str
    log_retention_days: int
    log_daily_quota_gb: int
    readers: tuple[str, ...]
    operators: tuple[str, ...]
    budget_amount: int
    budget_emails: tuple[str, ...]

    @classmethod
    def load(cls) -> "SharedSettings":
        """Read the selected stack's config.

        Raises:
            SettingsError: a key is unknown, missing, or its value is wrong.
        """
        reader = _reader(cls)
        return cls(
            **_azure(reader),
            **_training(reader),
            **_databricks(reader),
            log_retention_days=reader.integer("logRetentionDays", 30, 730),
            log_daily_quota_gb=reader.integer("logDailyQuotaGb", 1, 1_000),
            readers=_principals(reader, "readers"),
            operators=_principals(reader, "operators"),
            budget_amount=reader.integer("budgetAmount", 1, 1_000_000, example=300),
            budget_emails=_emails(reader, "budgetEmails"),
        )


@dataclass(frozen=True, kw_only=True)
class EnvironmentSettings(_AzureSettings, _StageSettings, ApiSettings):
    """Settings of the stacks `staging` and `production`."""

    shared_stack: str
    registry_stage: str
    promote_from: str
    kubernetes_version: str
    cluster_tier: str
    node_size: str
    nodes_min: int
    nodes_max: int
    zones: tuple[str, ...]
    admin_group_ids: tuple[str, ...]
    authorized_ip_ranges: tuple[str, ...]
    maintenance_day: str
    maintenance_start: str
    maintenance_hours: int
    maintenance_utc_offset: str
    replicas_min: int
    replicas_max: int
    hostname: str
    public: bool
    tls_key_vault_certificate: str
    tls_key_vault_id: str
    api_key_rotation: str
    alert_emails: tuple[str, ...]
    alert_latency_ms: int
    alert_error_percent: int

    @classmethod
    def load(cls) -> "EnvironmentSettings":
        """Read the selected stack's config.

        Raises:
            SettingsError: a key is unknown, missing, its value is wrong, or two contradict.
        """
        reader = _reader(cls)
        settings = cls(
            **_azure(reader),
            **_stage(reader),
            **_promotion(reader),
            **_cluster(reader),
            **_serving(reader),
            **read_api(reader, on_this_machine=False),
            alert_emails=_emails(reader, "alertEmails"),
            alert_latency_ms=reader.integer("alertLatencyMs", 1, 60_000, example=250),
            alert_error_percent=reader.integer("alertErrorPercent", 1, 100),
        )
        _check_environment(reader, settings)
        return settings


def _reader(settings: type[Any]) -> Reader:
    reader = Reader()
    reader.refuse_unknown([field.name for field in fields(settings)])
    return reader


def _training(reader: Reader) -> dict[str, Any]:
    return {
        "dataset": reader.source("dataset", example="data/employees.csv"),
        "training_parameters": reader.training_parameters("trainingParameters"),
        "training_timeout_minutes": reader.integer("trainingTimeoutMinutes", 1, 24 * 60),
        "retrain": reader.optional_text("retrain"),
    }


def _stage(reader: Reader) -> dict[str, Any]:
    return {
        "gates": reader.gates("gates"),
        "release_version": reader.version("releaseVersion"),
        "release_reason": reader.text_or_empty(
            "releaseReason",
            example="too many referrals since version 8",
            pattern=r".{1,300}",
            expected="must be at most 300 characters on one line",
        ),
    }


def _azure(reader: Reader) -> dict[str, Any]:
    return {
        "location": reader.text(
            "location", example="westeurope", pattern=_REGION, expected="must be an Azure region"
        ),
        "name_prefix": reader.text(
            "namePrefix",
            example="contoso",
            pattern=_PREFIX,
            expected="must be 3 to 12 lower-case letters and digits, a letter first",
        ),
        "tags": {**reader.tags("tags"), **_standard_tags()},
        "protect": reader.boolean("protect"),
    }


def _standard_tags() -> dict[str, str]:
    """Say of every resource which program and stack it belongs to; the policies ask for it."""
    return {
        "project": pulumi.get_project(),
        "stack": pulumi.get_stack(),
        "managed-by": "pulumi",
    }


def _databricks(reader: Reader) -> dict[str, Any]:
    return {
        "tracking_uri": reader.source("trackingUri", example="databricks"),
        "registry_uri": reader.source("registryUri", example="databricks-uc"),
        "catalog": reader.text_or_empty(
            "catalog",
            example="main",
            pattern=_IDENTIFIER,
            expected="must be letters, digits and underscores, or empty",
        ),
        "schema": reader.text(
            "schema",
            example="hr",
            pattern=_IDENTIFIER,
            expected="must be letters, digits and underscores",
        ),
        "training_compute": reader.choice("trainingCompute", "serverless", "job-cluster"),
        "job_cluster_spark_version": reader.text(
            "jobClusterSparkVersion", example="17.3.x-scala2.13"
        ),
        "job_cluster_node_type": reader.text("jobClusterNodeType", example="Standard_D4ds_v5"),
        "training_schedule": reader.text_or_empty(
            "trainingSchedule",
            example='"0 0 5 1 * ?"',
            pattern=_CRON,
            expected="must be a quartz cron expression of 6 or 7 fields, or empty",
        ),
        "failure_emails": _emails(reader, "failureEmails"),
        "job_run_as": reader.text_or_empty(
            "jobRunAs",
            example="00000000-0000-0000-0000-000000000000",
            pattern=_GUID,
            expected="must be a service principal's application id, or empty",
        ),
    }


def _promotion(reader: Reader) -> dict[str, Any]:
    stage = "must be 2 to 31 lower-case letters, digits and underscores"
    return {
        "shared_stack": reader.text("sharedStack", example="shared"),
        "registry_stage": reader.text(
            "registryStage", example="staging", pattern=_STAGE, expected=stage
        ),
        "promote_from": reader.text_or_empty(
            "promoteFrom", example="staging", pattern=_STAGE, expected=stage
        ),
    }


def _cluster(reader: Reader) -> dict[str, Any]:
    return {
        "kubernetes_version": reader.text(
            "kubernetesVersion",
            example='"1.36"',
            pattern=r"1\.\d+(\.\d+)?",
            expected="must be a version such as 1.36, in quotes",
        ),
        "cluster_tier": reader.choice("clusterTier", "Free", "Standard", "Premium"),
        "node_size": reader.text("nodeSize", example="Standard_D2ads_v5"),
        "nodes_min": reader.integer("nodesMin", 1, 1_000, example=2),
        "nodes_max": reader.integer("nodesMax", 1, 1_000, example=4),
        "zones": reader.texts(
            "zones",
            example='["1", "2", "3"]',
            pattern="[123]",
            expected='must be a list of zones, each "1", "2" or "3"',
        ),
        "admin_group_ids": reader.texts(
            "adminGroupIds",
            example='["00000000-0000-0000-0000-000000000000"]',
            pattern=_GUID,
            expected="must be a list of object ids of Entra groups",
        ),
        "authorized_ip_ranges": _ip_ranges(reader, "authorizedIpRanges"),
        "maintenance_day": reader.choice(
            "maintenanceDay",
            *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        ),
        "maintenance_start": reader.text(
            "maintenanceStart",
            example='"01:00"',
            pattern=r"([01]\d|2[0-3]):[0-5]\d",
            expected="must be a time of day such as 01:00, in quotes",
        ),
        "maintenance_hours": reader.integer("maintenanceHours", 4, 24),
        "maintenance_utc_offset": reader.text(
            "maintenanceUtcOffset",
            example='"+01:00"',
            pattern=r"[+-](0\d|1[0-4]):[0-5]\d",
            expected="must be an offset such as +01:00, in quotes",
        ),
    }


def _serving(reader: Reader) -> dict[str, Any]:
    return {
        "replicas_min": reader.integer("replicasMin", 1, 1_000, example=2),
        "replicas_max": reader.integer("replicasMax", 1, 1_000, example=6),
        "hostname": reader.text(
            "hostname",
            example="attrition.contoso.com",
            pattern=_HOSTNAME,
            expected="must be a DNS name in lower case",
        ),
        "public": reader.boolean("public"),
        "tls_key_vault_certificate": reader.text_or_empty(
            "tlsKeyVaultCertificate",
            example="https://contoso.vault.azure.net/certificates/attrition",
            pattern=r"https://[^/\s]+/(certificates|secrets)/\S+",
            expected="must be the identifier of a Key Vault certificate, or empty",
        ),
        "tls_key_vault_id": reader.text_or_empty(
            "tlsKeyVaultId",
            example="/subscriptions/…/resourceGroups/…/providers/Microsoft.KeyVault/vaults/contoso",
            pattern=r"/subscriptions/.+/vaults/[^/]+",
            expected="must be the resource id of a Key Vault, or empty",
        ),
        "api_key_rotation": reader.optional_text("apiKeyRotation"),
    }


def _check_environment(reader: Reader, settings: EnvironmentSettings) -> None:
    """Check what must hold between keys."""
    if settings.promote_from == settings.registry_stage:
        reader.fail("promoteFrom", "must be another stage than registryStage", '""')
    for least, most in (("nodesMin", "nodesMax"), ("replicasMin", "replicasMax")):
        low, high = reader.integer(least, 1, 1_000), reader.integer(most, 1, 1_000)
        if low > high:
            reader.fail(most, f"must not be less than {least}, which is {low}", str(low))
    if bool(settings.tls_key_vault_certificate) != bool(settings.tls_key_vault_id):
        reader.fail(
            "tlsKeyVaultId",
            "must be set together with tlsKeyVaultCertificate, or neither",
            "/subscriptions/…/resourceGroups/…/providers/Microsoft.KeyVault/vaults/contoso",
        )


def _principals(reader: Reader, key: str) -> tuple[str, ...]:
    return reader.texts(
        key,
        example="[hr-analysts]",
        expected="must be a list of Databricks groups, users or application ids",
    )


def _ip_ranges(reader: Reader, key: str) -> tuple[str, ...]:
    expected, example = "must be a list of IPv4 ranges", '["203.0.113.0/24"]'
    ranges = reader.texts(key, example=example, pattern=_CIDR, expected=expected)
    try:
        for each in ranges:
            ipaddress.IPv4Network(each, strict=False)
    except ValueError:
        reader.fail(key, expected, example)
    return ranges


def _emails(reader: Reader, key: str) -> tuple[str, ...]:
    return reader.texts(
        key,
        example="[ml-on-call@contoso.com]",
        pattern=_EMAIL,
        expected="must be a list of e-mail addresses",
    )
