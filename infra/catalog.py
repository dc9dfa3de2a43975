"""What Unity Catalog holds: the schema, the employee table's volume, and the registered model.

There is no catalog of ours: every workspace comes with one, and making another takes rights and a
storage account that a deployer need not have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pulumi
import pulumi_databricks as dbx

__all__ = ["Catalog", "CatalogArgs"]

_CATALOG, _SCHEMA, _VOLUME, _MODEL = "catalog", "schema", "volume", "model"

# Readers see the model and load it. The volume holds employees: it is not for them.
_READER: Mapping[str, Sequence[str]] = MappingProxyType(
    {_CATALOG: ("USE_CATALOG",), _SCHEMA: ("USE_SCHEMA",), _MODEL: ("EXECUTE",)}
)
# Operators run the jobs: they read the table, register and tag versions, move aliases (which is the
# model's owner's right, or with MANAGE theirs), and write the table of predictions.
_OPERATOR: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        _CATALOG: ("USE_CATALOG",),
        _SCHEMA: ("USE_SCHEMA", "CREATE_MODEL", "CREATE_TABLE"),
        _VOLUME: ("READ_VOLUME",),
        _MODEL: ("APPLY_TAG", "EXECUTE", "MANAGE"),
    }
)


@dataclass(frozen=True, kw_only=True)
class CatalogArgs:
    """What is made in the catalog `catalog_name`, and who may use it.

    `dataset` is the CSV file to upload: its name must tell its content, and its path must be
    relative to the project, for both are recorded. `readers` and `operators` are groups, users or
    application ids; who is both is an operator.
    """

    catalog_name: pulumi.Input[str]
    schema_name: str
    model_name: str
    dataset: Path
    readers: Sequence[str]
    operators: Sequence[str]


class Catalog(pulumi.ComponentResource):
    """The schema and all in it; it takes a Databricks provider in its options.

    `catalog` and `schema` are names, `model_name` is the model's three-part name, and `data_path`
    is where compute reads the employee table.
    """

    catalog: pulumi.Output[str]
    schema: pulumi.Output[str]
    model_name: pulumi.Output[str]
    data_path: pulumi.Output[str]

    def __init__(
        self, name: str, args: CatalogArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:databricks:Catalog", name, None, opts)
        schema = dbx.Schema(
            f"{name}-schema",
            dbx.SchemaArgs(
                catalog_name=args.catalog_name,
                name=args.schema_name,
                comment="Attrition prediction: the model's releases and their data.",
            ),
            # It holds the model, which is kept: it could not be deleted.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        self.catalog, self.schema = schema.catalog_name, schema.name
        volume, self.data_path = self._create_volume(name, args, schema)
        model = self._create_model(name, args, schema)
        self.model_name = pulumi.Output.concat(
            schema.catalog_name, ".", schema.name, ".", model.name
        )
        securables = {
            _CATALOG: self.catalog,
            _SCHEMA: schema.id,
            _VOLUME: volume.id,
            _MODEL: model.id,
        }
        self._grant(name, args, securables)
        self.register_outputs(
            {
                "catalog": self.catalog,
                "schema": self.schema,
                "modelName": self.model_name,
                "dataPath": self.data_path,
            }
        )

    def _create_volume(
        self, name: str, args: CatalogArgs, schema: dbx.Schema
    ) -> tuple[dbx.Volume, pulumi.Output[str]]:
        volume = dbx.Volume(
            f"{name}-volume",
            dbx.VolumeArgs(
                catalog_name=schema.catalog_name,
                schema_name=schema.name,
                name="datasets",
                volume_type="MANAGED",
                comment="Employee records: readable by operators alone.",
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        file = dbx.File(
            f"{name}-dataset",
            dbx.FileArgs(
                path=pulumi.Output.concat(volume.volume_path, "/", args.dataset.name),
                # Never as content: that would put employees into the state. And never absolute:
                # the provider reads the recorded path again, on whatever machine runs next.
                source=args.dataset.as_posix(),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return volume, file.path

    def _create_model(
        self, name: str, args: CatalogArgs, schema: dbx.Schema
    ) -> dbx.RegisteredModel:
        return dbx.RegisteredModel(
            f"{name}-model",
            dbx.RegisteredModelArgs(
                catalog_name=schema.catalog_name,
                schema_name=schema.name,
                name=args.model_name,
                comment="Probability that an employee leaves; aliases are the stages.",
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Aliases are the stages: other resources move them.
                ignore_changes=["aliases"],
                # A registry is a record of what was done.
                retain_on_delete=True,
            ),
        )

    def _grant(
        self, name: str, args: CatalogArgs, securables: Mapping[str, pulumi.Output[str]]
    ) -> None:
        """Grant one by one: `Grants` would take away whatever others were given."""
        roles = dict.fromkeys(args.readers, _READER) | dict.fromkeys(args.operators, _OPERATOR)
        for principal, privileges in roles.items():
            for kind, granted in privileges.items():
                dbx.Grant(
                    f"{name}-{kind}-{principal}",
                    _grant_args(kind, securables[kind], principal, granted),
                    opts=pulumi.ResourceOptions(parent=self),
                )


def _grant_args(
    kind: str, securable: pulumi.Output[str], principal: str, privileges: Sequence[str]
) -> dbx.GrantArgs:
    return dbx.GrantArgs(
        principal=principal,
        privileges=list(privileges),
        catalog=securable if kind == _CATALOG else None,
        schema=securable if kind == _SCHEMA else None,
        volume=securable if kind == _VOLUME else None,
        model=securable if kind == _MODEL else None,
    )
