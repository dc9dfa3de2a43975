"""What one process serves: a verified release, whether it answers right, whether it is draining."""

from dataclasses import dataclass

from app.log import emit
from app.release import Release, load, wrong_reference
from app.settings import Settings

__all__ = ["Service"]


@dataclass(kw_only=True)
class Service:
    """The release of this process and its traffic state.

    `draining` alone changes: while it is true every response closes its connection, so that busy
    clients come back through the public port, which another process holds by then.
    """

    settings: Settings
    release: Release
    ready: bool
    draining: bool = False

    @classmethod
    def open(cls, settings: Settings) -> "Service":
        """Load the release and replay its reference records once.

        Raises:
            ReleaseError: the bundle is incomplete, altered or unreadable.
        """
        release = load(settings.release_dir, settings.release_sha256)
        wrong = wrong_reference(release)
        if wrong is not None:
            emit("not_ready", release=settings.release_version, wrong_reference_record=wrong)
        return cls(settings=settings, release=release, ready=wrong is None)
