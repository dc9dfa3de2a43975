"""How the suite is spread over two workers: a folder stays together, the longest begins first."""

from pathlib import Path

import pytest

_TESTS = Path(__file__).parent
_LONGEST = "lifecycle"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group tests by folder, for the folders' session fixtures are made once then.

    First: xdist's own hook, which reads the groups, would otherwise find none.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_folder(item)))
    items.sort(key=lambda item: _folder(item) != _LONGEST)


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(_TESTS).parts[0]
