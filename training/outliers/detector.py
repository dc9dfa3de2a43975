"""The outlier detector: how surprising each field of a record is, given the fields it goes with.

A dependency network (Heckerman et al., 2000, J. Machine Learning Research 1): every field has its
own table of conditional probabilities, given at most two other fields that tell most about it. All
is counts of ranges and categories, so a record is scored by look-ups, the score is a sum over the
fields, and no person's record is kept. A broken business rule makes an outlier by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from contract.employee import DETECTED_FIELDS, Category
from contract.outliers import OUTLIER_SHARE, STRIKING_FIELDS, STRIKING_SHARE
from contract.rules import RULES, broken_rules
from training.outliers.tables import Bins, choose_parents, cut_bins

__all__ = ["OutlierDetector"]

_STEPS = 1024
"""Terms are whole multiples of 1/1024: their sums are exact, the same in any order and language."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Term:
    """What a field adds to the score: `table` is `n_bins` of each parent x `n_bins` of its own."""

    bins: Bins
    parents: tuple[str, ...]
    table: _Floats


class OutlierDetector:
    """Scores records by their fields' surprise, and flags what 99 % of records stay below.

    A field's surprise is -log p(value | parents), less what is expected for those parents (the
    entropy): a field that nobody can foretell surprises no one. Its positive part is squared, so
    that one glaring field outweighs many that are slightly odd. The threshold is a quantile of the
    scores that the table's records get when each is left out of the counts: in-sample scores are
    too low, and would call more than 1 % of new records outliers. Nothing is random.
    """

    def __init__(self) -> None:
        self._terms: dict[str, _Term] = {}
        self._threshold = np.inf

    def fit(self, features: pd.DataFrame) -> Self:
        """Learn parents, tables and threshold from `n_rows` x 30."""
        bins = {field.name: cut_bins(features[field.name], field) for field in DETECTED_FIELDS}
        numbers = {name: bins[name].of(features[name]) for name in bins}
        scores = np.zeros(len(features))
        self._terms = {}
        for name in bins:
            learnt = choose_parents(name, bins, numbers)
            entropy = -(learnt.probability * np.log(learnt.probability)).sum(axis=1, keepdims=True)
            scores += _terms(learnt.left_out, entropy)[learnt.cell, numbers[name]]
            parents = [bins[parent] for parent in learnt.parents]
            table = _terms(learnt.probability, entropy)
            table = table.reshape([*(parent.count for parent in parents), bins[name].count])
            # Beyond the table nothing was counted: a parent there acts like its nearest bin.
            for axis, parent in enumerate(parents):
                table = table.take(parent.nearest(), axis=axis)
            self._terms[name] = _Term(bins=bins[name], parents=learnt.parents, table=table)
        self._threshold = _threshold(scores)
        return self

    @property
    def threshold(self) -> float:
        """The score (squared nats) that an outlier exceeds; infinite before `fit`."""
        return self._threshold

    def score(self, features: pd.DataFrame) -> _Floats:
        """Return each record's summed terms, `n_rows` numbers ≥ 0 (squared nats)."""
        return self._rows(features).sum(axis=1)

    def predict(self, features: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Mark the outliers of `n_rows` records: over the threshold, or breaking a rule."""
        outlier = self.score(features) > self._threshold
        for rule in RULES:
            outlier |= np.asarray(rule.broken_by(features), dtype=np.bool_)
        return outlier

    def explain(self, features: pd.DataFrame) -> list[list[str]]:
        """Return, per record, the fields that make it an outlier; none if it is none.

        First the fields of broken rules, then, if the score is over the threshold, those with at
        least a tenth of it; in either group the larger terms first, at most three in all.
        """
        names = list(self._terms)
        rows = self._rows(features)
        columns = {name: features[name].tolist() for rule in RULES for name in rule.fields}
        found: list[list[str]] = []
        for number, terms in enumerate(rows):
            order: list[str] = [names[at] for at in np.argsort(-terms, kind="stable")]
            record = {name: values[number] for name, values in columns.items()}
            ruled = {name for rule in broken_rules(record) for name in rule.fields}
            score = terms.sum()
            striking = {
                name
                for name, term in zip(names, terms, strict=True)
                if score > self._threshold and term >= STRIKING_SHARE * score
            }
            first = [name for name in order if name in ruled]
            then = [name for name in order if name in striking - ruled]
            found.append([*first, *then][:STRIKING_FIELDS])
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the fitted detector as JSON content: `fields`, in contract order, and `threshold`.

        Each field has `name`, `parents` (none to two names), `table`, and either `edges` or
        `categories`. A category's bin is its place in `categories`; a number's is how many of
        `edges` are at most that number. The field's term is `table[own]`, `table[parent][own]` or
        `table[parent][parent][own]`, each index a bin, the parents in their order. A record's
        score is the sum of its fields' terms, which is exact in any order; an outlier's is greater
        than `threshold`. The rules are the contract's and not repeated here.
        """
        return {
            "fields": [_term_content(name, term) for name, term in self._terms.items()],
            "threshold": self._threshold,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild a fitted detector from what `to_dict` returned."""
        detector = cls()
        entries = {entry["name"]: entry for entry in content["fields"]}
        for field in DETECTED_FIELDS:
            entry = entries[field.name]
            table = np.array(entry["table"], dtype=np.float64)
            count = table.shape[-1]
            edges = tuple(entry.get("edges", ()))
            bins = Bins(field=field, edges=edges, count=count, first=0, last=count - 1)
            parents = tuple(entry["parents"])
            detector._terms[field.name] = _Term(bins=bins, parents=parents, table=table)
        detector._threshold = float(content["threshold"])
        return detector

    def _rows(self, features: pd.DataFrame) -> _Floats:
        """Return every field's term, `n_rows` x `n_fields`."""
        numbers = {name: term.bins.of(features[name]) for name, term in self._terms.items()}
        columns = [
            term.table[(*(numbers[parent] for parent in term.parents), numbers[name])]
            for name, term in self._terms.items()
        ]
        return np.column_stack(columns)


def _term_content(name: str, term: _Term) -> dict[str, Any]:
    field = term.bins.field
    return {
        "name": name,
        **(
            {"categories": list(field.categories)}
            if isinstance(field, Category)
            else {"edges": list(term.bins.edges)}
        ),
        "parents": list(term.parents),
        "table": term.table.tolist(),
    }


def _threshold(left_out: _Floats) -> float:
    """Return what a further record of the same kind exceeds with a probability of 1 %.

    Of `n` scores that is the (n + 1) 0.99th, rounded up (Vovk et al., 2005, Algorithmic Learning in
    a Random World): a plain quantile forgets that the next record is not among the `n`.
    """
    rank = int(np.ceil((len(left_out) + 1) * (1 - OUTLIER_SHARE)))
    return float(np.sort(left_out)[min(rank, len(left_out)) - 1])


def _terms(probability: _Floats, entropy: _Floats) -> _Floats:
    """Return the squared surprise over `entropy`, in whole steps."""
    excess = np.maximum(-np.log(probability) - entropy, 0.0)
    return np.round(excess**2 * _STEPS) / _STEPS
