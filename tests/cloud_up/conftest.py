"""One world for the whole story: what one test leaves, the next one finds."""

from collections.abc import Generator

import pytest
from cloud_up_world import STACKS, World, world


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    """Stand-in clouds, with the three stacks configured and nothing in them."""
    with world(tmp_path_factory.mktemp("cloud")) as made:
        for stack in STACKS:
            made.engine.init(stack)
        made.engine.configure(
            "shared",
            trackingUri=made.store,
            registryUri=made.store,
            trainingParameters={"cv_repeats": 2},
            operators=["data-team"],
            readers=["hr@contoso.example"],
            budgetEmails=["finance@contoso.example"],
        )
        yield made
