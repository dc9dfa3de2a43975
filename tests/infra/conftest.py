import shutil
import warnings
from pathlib import Path

import pytest
from lifecycle_production import Production
from lifecycle_store import Store


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated store with the model and no version: making one takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with warnings.catch_warnings():
        # MLflow and what it imports warn at import, not our code.
        warnings.simplefilter("ignore")
        store = Store(path)
        store.create_model()
    return path


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Store:
    path = tmp_path / "mlflow.db"
    shutil.copy(empty_store, path)
    return Store(path)


@pytest.fixture
def production(tmp_path: Path, store: Store) -> Production:
    return Production(tmp_path / "production", store)
