"""Score one record: the same numbers as `app.scoring`, bit for bit, without arrays of one column.

Most requests hold one record, and for one record an array operation costs more than the sum that it
does. What is left of them here is what a list is no better at: the interval's directions.
"""

import math
from array import array
from collections.abc import Sequence

import numpy as np

from app.scoring import Classifier, Codes, Outliers, Scores, counted, probability, striking
from contract.answers import OutlierAnswer, Prediction, Reason
from contract.classifier import REASONS, decide
from contract.employee import FIELD_NAMES
from contract.rules import RULES

__all__ = ["OneRecord"]

_RULES = tuple(
    (rule.name, FIELD_NAMES.index(rule.lower), rule.offset, FIELD_NAMES.index(rule.upper))
    for rule in RULES
)


class OneRecord:
    """Scores single records with the tables of a classifier and an outlier detector."""

    def __init__(self, classifier: Classifier, outliers: Outliers) -> None:
        self._classifier = classifier
        self._outliers = outliers
        self._rows = _listed(
            *classifier.axes, *classifier.strides[:, :, 0], classifier.offsets[:, 0]
        )
        # `array` and `bytes` tell single numbers as fast as a list, in a quarter of its memory.
        self._whole = array("d", classifier.table[:, 0].tolist())
        self._shares = array("d", classifier.shares.tolist())
        self._firsts: list[int] = classifier.firsts.tolist()
        self._columns: list[int] = classifier.wide.fields.tolist()
        self._bins = outliers.bins.tobytes()
        self._bin_places = _listed(outliers.fields, outliers.offsets[:, 0])
        self._terms = array("d", outliers.terms.tolist())
        self._term_places = _listed(
            outliers.bases[:, 0], *outliers.axes[1:], *outliers.strides[:, :, 0]
        )

    def score(self, codes: Sequence[int]) -> Scores:
        """Answer for the 30 codes of one record, and count the answer."""
        logit, error, reasons = self._evaluate(codes)
        width = self._classifier.z * error
        ends = np.array((logit, logit - width, logit + width))
        likely, low, high = probability(ends).tolist()
        outlier = self._outlier(codes)
        decision = decide(low, high, self._classifier.threshold, is_outlier=outlier["is_outlier"])
        prediction: Prediction = {
            "attrition_probability": likely,
            "interval": [low, high],
            "decision": decision,
            "outlier": outlier,
            "reasons": reasons,
        }
        return counted([prediction])

    def _evaluate(self, codes: Sequence[int]) -> tuple[float, float, list[Reason]]:
        """Return log-odds, their standard error, and reasons, as `Classifier.evaluate`."""
        entries = [
            codes[first] * stride + codes[second] * other + offset
            for first, second, stride, other, offset in self._rows
        ]
        wide = self._classifier.wide.moves_of([codes[field] for field in self._columns])
        sums = np.add.reduce(self._classifier.table.take(entries, axis=0), axis=0)
        sums += np.add.reduce(wide, axis=0)
        sums += self._classifier.baseline
        shares = [self._shares[entry] for entry in entries]
        rest = [self._whole[entry] - share for entry, share in zip(entries, shares, strict=True)]
        moves: list[float] = wide[:, 0].tolist()
        pieces = [*shares, *rest, *moves]
        contributions = [pieces[at] for at in self._firsts]
        for field, piece in self._classifier.others:
            contributions[field] += pieces[piece]
        # Sorting is stable: of equal ones the field that comes first.
        sizes = [-abs(each) for each in contributions]
        largest = sorted(range(len(sizes)), key=sizes.__getitem__)[:REASONS]
        directions = sums[1:]
        error = math.sqrt(np.add.reduce(directions * directions) + self._classifier.remainder)
        names = self._classifier.names
        reasons: list[Reason] = [
            {"feature": names[at], "contribution": contributions[at]} for at in largest
        ]
        return float(sums[0]), error, reasons

    def _outlier(self, codes: Sequence[int]) -> OutlierAnswer:
        bins = [self._bins[codes[field] + offset] for field, offset in self._bin_places]
        terms = [
            self._terms[base + own * stride + bins[first] * stride_1 + bins[second] * stride_2]
            for own, (base, first, second, stride, stride_1, stride_2) in zip(
                bins, self._term_places, strict=True
            )
        ]
        score = sum(terms)
        broken = [codes[lower] + offset > codes[upper] for _, lower, offset, upper in _RULES]
        is_outlier = score > self._outliers.threshold or True in broken
        if not is_outlier:
            return {"is_outlier": False, "score": score, "features": [], "broken_rules": []}
        return {
            "is_outlier": True,
            "score": score,
            "features": striking(self._outliers.names, terms, broken, self._outliers.threshold),
            "broken_rules": [
                name for (name, *_), breaks in zip(_RULES, broken, strict=True) if breaks
            ],
        }


def _listed(*columns: Codes) -> list[tuple[int, ...]]:
    """Return the rows of columns of equal length."""
    numbers: list[list[int]] = [column.tolist() for column in columns]
    return list(zip(*numbers, strict=True))
