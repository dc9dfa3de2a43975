"""Score one record: the same numbers as `app.scoring`, bit for bit, without arrays of one column.

Most requests hold one record, and for one record an array operation costs more than the sum that it
does. What is left of them here is what a list is no better at: the interval's directions.
"""

import math
from array import array
from collections.abc import Sequence

import numpy as np

from app.scoring import Classifier, Codes, Outliers, striking
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
    """Scores single records with the tables of a classifier and an outlier detector.

    One at a time: there is one place to add up in, which is made once.
    """

    def __init__(self, classifier: Classifier, outliers: Outliers) -> None:
        self._classifier = classifier
        self._outliers = outliers
        rows = _listed(*classifier.axes, *classifier.strides[:, :, 0], classifier.offsets[:, 0])
        self._singles = [(field, offset) for field, *_, offset in rows[: classifier.singles]]
        self._pairs = rows[classifier.singles :]
        # `array` and `bytes` tell single numbers as fast as a list, in a quarter of its memory.
        self._whole = array("d", classifier.table[:, 0].tolist())
        self._shares = array("d", classifier.shares.tolist())
        self._firsts: list[int] = classifier.firsts.tolist()
        wide, spread = classifier.wide, len(classifier.baseline)
        columns: list[tuple[int, float]] = list(
            zip(wide.fields.tolist(), wide.means[:, 0].tolist(), strict=True)
        )
        self._values, self._logarithms = columns[: wide.logarithms], columns[wide.logarithms :]
        self._distances, self._weights = np.zeros((len(columns), 1)), wide.weights[:, 0]
        # What is added up, in the order of `Classifier.evaluate`.
        self._summands = np.vstack(
            [np.zeros((len(rows) + len(columns), spread)), classifier.baseline]
        )
        self._entries, self._moves = self._summands[: len(rows)], self._summands[len(rows) : -1]
        self._places = np.zeros(len(rows), dtype=np.int64)
        self._bins = outliers.bins.tobytes()
        self._bin_places = _listed(outliers.fields, outliers.offsets[:, 0])
        self._terms = array("d", outliers.terms.tolist())
        self._term_places = _listed(
            outliers.bases[:, 0], *outliers.axes[1:], *outliers.strides[:, :, 0]
        )

    def score(self, codes: Sequence[int]) -> Prediction:
        """Answer for the 30 codes of one record."""
        logit, error, reasons = self._evaluate(codes)
        width = self._classifier.z * error
        likely, low, high = _probabilities(logit, logit - width, logit + width)
        outlier = self._outlier(codes)
        return {
            "attrition_probability": likely,
            "interval": [low, high],
            "decision": decide(
                low, high, self._classifier.threshold, is_outlier=outlier["is_outlier"]
            ),
            "outlier": outlier,
            "reasons": reasons,
        }

    def _evaluate(self, codes: Sequence[int]) -> tuple[float, float, list[Reason]]:
        """Return log-odds, their standard error, and reasons, as `Classifier.evaluate`."""
        classifier = self._classifier
        entries = [codes[field] + offset for field, offset in self._singles]
        entries += [
            codes[first] * stride + codes[second] * other + offset
            for first, second, stride, other, offset in self._pairs
        ]
        self._places[:] = entries
        # None is out of bounds; `clip` spares the copy that is made in case one was.
        classifier.table.take(self._places, axis=0, out=self._entries, mode="clip")
        distances = [codes[field] - mean for field, mean in self._values]
        distances += [float(np.log1p(codes[field])) - mean for field, mean in self._logarithms]
        self._distances[:, 0] = distances
        np.multiply(self._weights, self._distances, out=self._moves)
        sums = np.add.reduce(self._summands, axis=0)
        directions = sums[1:]
        error = math.sqrt(np.add.reduce(directions * directions) + classifier.remainder)
        pieces = [self._shares[entry] for entry in entries]
        pieces += [
            self._whole[entry] - self._shares[entry] for entry in entries[classifier.singles :]
        ]
        pieces += self._moves[:, 0].tolist()
        contributions = [pieces[at] for at in self._firsts]
        for field, piece in classifier.others:
            contributions[field] += pieces[piece]
        return sums.item(0), error, _reasons(classifier.names, contributions)

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


def _reasons(names: Sequence[str], contributions: Sequence[float]) -> list[Reason]:
    """Name the largest contributions; of equal ones the field that comes first."""
    sizes = [*map(abs, contributions)]
    reasons: list[Reason] = []
    for size in sorted(sizes, reverse=True)[:REASONS]:
        at = sizes.index(size)
        sizes[at] = -1.0
        reasons.append({"feature": names[at], "contribution": contributions[at]})
    return reasons


def _probabilities(*logits: float) -> list[float]:
    """Turn log-odds into probabilities, as `app.scoring.probability`."""
    # Not `math.exp`, the last bit of which may be another.
    every: list[float] = np.exp(np.array([-abs(logit) for logit in logits])).tolist()
    return [
        (1.0 if logit >= 0 else odds) / (1.0 + odds)
        for logit, odds in zip(logits, every, strict=True)
    ]


def _listed(*columns: Codes) -> list[tuple[int, ...]]:
    """Return the rows of columns of equal length."""
    numbers: list[list[int]] = [column.tolist() for column in columns]
    return list(zip(*numbers, strict=True))
