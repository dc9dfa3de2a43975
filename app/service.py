"""What one process serves: a verified release, what is counted of its answers, and its state."""

import time
from dataclasses import dataclass

from app.auth import Authenticator
from app.drift import Window
from app.limits import InFlight, RateLimit
from app.log import emit
from app.metrics import Metrics
from app.records import RecordReader
from app.release import Release, load, wrong_reference
from app.scoring import Codes, Scores, score
from app.scoring_one import OneRecord
from app.settings import Settings
from app.windows import WindowLines

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
    one: OneRecord
    window: Window
    lines: WindowLines
    metrics: Metrics
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
        return cls(
            settings=settings,
            release=release,
            ready=wrong is None,
            reader=RecordReader(release.needed),
            one=OneRecord(release.classifier, release.outliers),
            window=Window(release.drift, time.monotonic),
            lines=lines,
            metrics=Metrics(settings.release_version),
            authenticator=Authenticator(settings),
            rate_limit=RateLimit(settings.rate_limit_per_second, settings.rate_limit_burst),
            in_flight=InFlight(settings.max_in_flight, _BODIES_BYTES),
        )

    def score(self, codes: Codes) -> Scores:
        """Answer for 30 x `n_records` codes, in their order."""
        if len(codes[0]) == 1:
            return self.one.score(codes[:, 0].tolist())
        return score(self.release.classifier, self.release.outliers, codes)

    def count(self, codes: Codes, scores: Scores) -> None:
        """Count what was answered: for drift, telemetry and metrics."""
        records = len(scores.predictions)
        counts = self.release.drift.count(codes)
        self.window.add(counts, records)
        self.lines.add(counts, scores)
        self.metrics.answers(
            records, at_risk=scores.at_risk, referred=scores.referred, outliers=scores.outliers
        )
