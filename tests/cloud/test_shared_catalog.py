"""What Unity Catalog holds, and who may use it."""

from collections.abc import Iterator
from pathlib import Path

import pulumi
import pulumi_databricks as dbx
import pytest

from infra.catalog import Catalog, CatalogArgs
from tests.recorder import Recorder, known, record

SERVICE = "11111111-2222-3333-4444-555555555555"
DATASET = Path(".local/datasets/employees-0123456789ab.csv")
MADE = {
    "catalog-schema": {"id": "main.hr"},
    "catalog-volume": {"id": "main.hr.datasets", "volumePath": "/Volumes/main/hr/datasets"},
    "catalog-model": {"id": "main.hr.attrition"},
}


def build(
    readers: tuple[str, ...] = ("analysts",),
    operators: tuple[str, ...] = (SERVICE,),
    *,
    unknown: bool = False,
) -> tuple[Recorder, dict[str, object]]:
    told: dict[str, object] = {}

    def tell(catalog: Catalog) -> None:
        outputs = {
            "catalog": catalog.catalog,
            "schema": catalog.schema,
            "model_name": catalog.model_name,
            "data_path": catalog.data_path,
        }
        pulumi.Output.all(**outputs).apply(told.update, run_with_unknowns=True)

    def program() -> None:
        provider = dbx.Provider("inside", dbx.ProviderArgs(host="https://one.net"))
        tell(
            Catalog(
                "catalog",
                CatalogArgs(
                    catalog_name="main",
                    schema_name="hr",
                    model_name="attrition",
                    dataset=DATASET,
                    readers=readers,
                    operators=operators,
                ),
                opts=pulumi.ResourceOptions(providers=[provider]),
            )
        )

    return record(program, Recorder(made=MADE, unknown=unknown)), told


@pytest.fixture(scope="module")
def found() -> Recorder:
    return build()[0]


def grants(recorder: Recorder) -> Iterator[tuple[str, str, str, set[str]]]:
    """Yield principal, kind and name of the securable, and privileges."""
    for grant in recorder.of_type("Grant"):
        kinds = grant.inputs.keys() - {"principal", "privileges"}
        (kind,) = kinds
        yield (
            grant.inputs["principal"],
            kind,
            known(grant.inputs[kind]),
            set(grant.inputs["privileges"]),
        )


def test_the_component_tells_where_things_are() -> None:
    assert build()[1] == {
        "catalog": "main",
        "schema": "hr",
        "model_name": "main.hr.attrition",
        "data_path": "/Volumes/main/hr/datasets/employees-0123456789ab.csv",
    }


@pytest.mark.parametrize("unknown", [False, True])
def test_everything_is_made_in_the_workspace_under_the_component(unknown: bool) -> None:
    recorder, _ = build(unknown=unknown)
    children = [r for r in recorder.resources if r.custom and not r.type.startswith("pulumi:")]
    assert len(children) == 4 + 3 + 4
    for child in children:
        assert child.parent == "catalog"
        assert "::inside::" in child.request.provider


def test_there_is_no_catalog_of_ours(found: Recorder) -> None:
    assert found.of_type("Catalog")[0].custom is False
    assert len(found.of_type("Catalog")) == 1


def test_schema_volume_and_model_lie_in_the_catalog(found: Recorder) -> None:
    assert found["catalog-schema"].inputs["catalogName"] == "main"
    assert found["catalog-schema"].inputs["name"] == "hr"
    for name in ("catalog-volume", "catalog-model"):
        assert found[name].inputs["catalogName"] == "main"
        assert found[name].inputs["schemaName"] == "hr"
        assert "catalog-schema" in found[name].dependencies
    assert found["catalog-volume"].inputs["volumeType"] == "MANAGED"
    assert found["catalog-model"].inputs["name"] == "attrition"


def test_the_table_is_uploaded_by_path_never_as_content(found: Recorder) -> None:
    """Content would be in the state, and with it every employee."""
    inputs = found["catalog-dataset"].inputs
    assert inputs == {
        "path": "/Volumes/main/hr/datasets/employees-0123456789ab.csv",
        "source": ".local/datasets/employees-0123456789ab.csv",
    }


def test_what_is_recorded_of_the_table_is_the_same_on_every_machine(found: Recorder) -> None:
    """The path is relative, and names the content: the file needs no ignored change.

    The provider checks that `source` exists. To ignore its changes would hand it the path on the
    machine that ran first.
    """
    recorded = found["catalog-dataset"]
    assert not Path(recorded.inputs["source"]).is_absolute()
    assert not recorded.request.ignoreChanges


def test_aliases_belong_to_the_stages_and_releases_outlive_the_stack(found: Recorder) -> None:
    model = found["catalog-model"].request
    assert list(model.ignoreChanges) == ["aliases"]
    assert model.retainOnDelete is True
    # With a model in it the schema could not be deleted.
    assert found["catalog-schema"].request.retainOnDelete is True


def test_employees_do_not_outlive_the_stack(found: Recorder) -> None:
    assert found["catalog-volume"].request.retainOnDelete is False
    assert found["catalog-dataset"].request.retainOnDelete is False


def test_readers_use_the_model_and_do_not_see_employees(found: Recorder) -> None:
    given = {(kind, name): rights for who, kind, name, rights in grants(found) if who == "analysts"}
    assert given == {
        ("catalog", "main"): {"USE_CATALOG"},
        ("schema", "main.hr"): {"USE_SCHEMA"},
        ("model", "main.hr.attrition"): {"EXECUTE"},
    }


def test_operators_also_read_the_table_and_register_releases(found: Recorder) -> None:
    given = {(kind, name): rights for who, kind, name, rights in grants(found) if who == SERVICE}
    assert given == {
        ("catalog", "main"): {"USE_CATALOG"},
        ("schema", "main.hr"): {"USE_SCHEMA", "CREATE_MODEL", "CREATE_TABLE"},
        ("volume", "main.hr.datasets"): {"READ_VOLUME"},
        ("model", "main.hr.attrition"): {"EXECUTE", "APPLY_TAG", "MANAGE"},
    }


def test_who_is_both_is_granted_once() -> None:
    recorder, _ = build(readers=("hr", "analysts"), operators=("hr",))
    names = [grant.name for grant in recorder.of_type("Grant")]
    assert len(set(names)) == len(names)
    privileges = {(who, kind): rights for who, kind, _, rights in grants(recorder)}
    assert privileges["hr", "volume"] == {"READ_VOLUME"}
    assert "MANAGE" in privileges["hr", "model"]


def test_with_nobody_named_nothing_is_granted() -> None:
    recorder, _ = build(readers=(), operators=())
    assert recorder.of_type("Grant") == []


def test_what_others_granted_is_never_overwritten(found: Recorder) -> None:
    assert found.of_type("Grants") == []
