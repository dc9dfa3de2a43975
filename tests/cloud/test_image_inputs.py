"""What an image is a function of beside its release: the code's hash, and the commit it is of."""

import subprocess
from pathlib import Path

import pytest

from infra.image import ImageError, context_sha256, git_commit
from tests.recorder import ROOT


class TestContext:
    """The hash of everything but the release."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for name in ("app/a.py", "contract/c.py", "image/i.py"):
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).write_text(name)
        return tmp_path

    @pytest.mark.parametrize("name", ["app/a.py", "contract/c.py", "image/i.py", "app/new"])
    def test_a_change_changes_it(self, root: Path, name: str) -> None:
        before = context_sha256(root)
        (root / name).write_text("changed")
        assert context_sha256(root) != before

    def test_a_name_counts(self, root: Path) -> None:
        before = context_sha256(root)
        (root / "app" / "a.py").rename(root / "app" / "b.py")
        assert context_sha256(root) != before

    def test_byte_code_does_not(self, root: Path) -> None:
        before = context_sha256(root)
        (root / "app" / "__pycache__").mkdir()
        (root / "app" / "__pycache__" / "a.pyc").write_text("")
        assert context_sha256(root) == before

    def test_what_is_missing_is_an_error(self, root: Path) -> None:
        (root / "contract" / "c.py").unlink()
        with pytest.raises(ImageError, match="contract"):
            context_sha256(root)


class TestCommit:
    """Which commit an image says it is of: a function of its contents, not of the newest commit."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "project"
        for name in ("app/a.py", "contract/c.py", "image/i.py", "README.md"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        self.git(root, "init", "--quiet")
        self.commit(root)
        return root

    @staticmethod
    def git(root: Path, *arguments: str) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", *who, *arguments], cwd=root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, root: Path) -> str:
        self.git(root, "add", "--all")
        self.git(root, "commit", "--quiet", "--message", "Change", "--no-gpg-sign")
        return self.git(root, "rev-parse", "HEAD")

    def test_the_last_that_changed_the_image(self, root: Path) -> None:
        (root / "app" / "a.py").write_text("changed")
        commit = self.commit(root)
        assert git_commit(root) == commit
        (root / "README.md").write_text("changed")
        assert self.commit(root) != commit
        assert git_commit(root) == commit

    def test_uncommitted_changes_are_of_no_commit(self, root: Path) -> None:
        (root / "README.md").write_text("changed")
        assert git_commit(root) != "unknown"
        (root / "app" / "new.py").write_text("")
        assert git_commit(root) == "unknown"

    def test_a_clone_without_history_cannot_say(self, root: Path, tmp_path: Path) -> None:
        (root / "README.md").write_text("changed")
        self.commit(root)
        self.git(tmp_path, "clone", "--quiet", "--depth=1", root.as_uri(), "shallow")
        assert git_commit(tmp_path / "shallow") == "unknown"

    def test_without_a_repository(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert git_commit(tmp_path) == "unknown"
        monkeypatch.setenv("PATH", str(tmp_path))
        assert git_commit(ROOT) == "unknown"
