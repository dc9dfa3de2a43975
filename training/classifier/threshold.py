"""From a probability to a decision."""

__all__ = ["decision_threshold"]


def decision_threshold(missed_leaver_cost: float) -> float:
    """Return the probability from which approaching an employee costs less than not doing so.

    `missed_leaver_cost` is the cost of overlooking a leaver, in units of one needless approach
    (Elkan, "The foundations of cost-sensitive learning", IJCAI 2001, equation 2).
    """
    return 1 / (1 + missed_leaver_cost)
