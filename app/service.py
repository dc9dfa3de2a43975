"""What one process serves: a verified release, what is counted of its answers, and its state."""

import time
from dataclasses import dataclass

from app.auth import Authenticator
from app.journal import Journal
from app.limits import InFlight, RateLimit
from app.log import emit
from app.metrics import Metrics
from app.records import RecordReader
from app.release import Release, load, wrong_reference
from app.scoring import AnyCodes, predict
from app.settings import Settings
from app.tally import Tally
from app.windows import WindowLines
from contract.answers import Prediction

__all__ = ["Service"]

_BODIES_BYTES = 32 * 1024 * 1024
"""Bodies of all requests at work, while they are read and answered."""


@dataclass(kw_only=True)
class Service:
    """The release of this process and its traffic state.

    `draining` alone changes: while it is true every response closes its connection, so that busy
    clients come back through the public port, which another process holds by then.
    """

    settings: Settings
    release: Release
    ready: bool
    reader: RecordReader
    journal: Journal
    metrics: Metrics
    tally: Tally
    authenticator: Authenticator
    rate_limit: RateLimit
    in_flight: InFlight
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
        lines = WindowLines(
            release.drift,
            settings.release_version,
            records=settings.window_records,
            seconds=settings.window_seconds,
            clock=time.monotonic,
        )
        metrics = Metrics(settings.release_version)
        return cls(
            settings=settings,
            release=release,
            ready=wrong is None,
            reader=RecordReader(release.needed),
            journal=Journal(),
            metrics=metrics,
            tally=Tally(release.drift, lines, metrics, time.monotonic),
            authenticator=Authenticator(settings),
            rate_limit=RateLimit(settings.rate_limit_per_second, settings.rate_limit_burst),
            in_flight=InFlight(settings.max_in_flight, _BODIES_BYTES),
        )

    def settled_metrics(self) -> Metrics:
        """Return the metrics, with all in them that was answered until now."""
        self.tally.report()
        return self.metrics

    def score(self, codes: AnyCodes) -> list[Prediction]:
        """Answer for records, in their order."""
        if isinstance(codes, list):
            return [self.release.one.score(codes)]
        return predict(self.release.classifier, self.release.outliers, codes)
