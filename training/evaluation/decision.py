"""What deciding costs: at every threshold, how many are approached, and how many are found."""

import numpy as np
import numpy.typing as npt

from training.classifier.threshold import decision_threshold
from training.evaluation.evidence import DecisionPoint

__all__ = ["decision_curve"]

_THRESHOLDS = tuple(step / 100 for step in range(2, 81))
_DIGITS = 6


def decision_curve(
    target: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64],
    missed_leaver_cost: float,
) -> list[DecisionPoint]:
    """Say what every threshold leads to; `probabilities` is `n_repeats` x `n_rows`, out of fold."""
    leavers, points = int(target.sum()), list[DecisionPoint]()
    for threshold in sorted({*_THRESHOLDS, decision_threshold(missed_leaver_cost)}):
        selected = probabilities >= threshold
        found = float((selected & (target == 1)).sum(axis=1).mean())
        approached = float(selected.sum(axis=1).mean())
        cost = (leavers - found) * missed_leaver_cost + approached - found
        points.append(
            {
                "threshold": round(threshold, _DIGITS),
                "selected": round(approached / len(target), _DIGITS),
                "found": round(found / leavers, _DIGITS),
                # Nobody is selected wrongly where nobody is selected.
                "precision": round(found / approached, _DIGITS) if approached else 1.0,
                "cost": round(cost / len(target), _DIGITS),
            }
        )
    return points
