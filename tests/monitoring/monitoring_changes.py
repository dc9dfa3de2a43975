"""Populations that changed: what is planted for the alerts to find."""

# pandas is typed in part (2026-11).
# pyright: reportUnknownMemberType=false

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from training.evaluation.planted_outliers import KINDS

RECORDS = 400

Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]
"""Takes the table, `n_rows` x 30; returns `RECORDS` records, changed."""


def drawn(features: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    return features.iloc[random.integers(len(features), size=RECORDS)]


def older(features: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """One field moves by two thirds of its standard deviation."""
    records = drawn(features, random)
    return records.assign(Age=np.minimum(records["Age"] + 6, 80))


def longer_commute(features: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    records = drawn(features, random)
    return records.assign(DistanceFromHome=np.minimum(records["DistanceFromHome"] + 6, 50))


def more_sales(features: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Every record is a real one; their mix moves by some 30 points."""
    weights = np.where(features["Department"] == "Sales", 3.5, 1.0)
    return features.iloc[random.choice(len(features), size=RECORDS, p=weights / weights.sum())]


def all_overtime(features: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    return drawn(features, random).assign(OverTime="Yes")


def odd(features: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Six outliers of each known kind; not `RECORDS`."""
    return pd.concat([plant(features, random)[0].head(6) for plant in KINDS.values()])


DRIFTS: Mapping[Change, str] = {
    older: "Age",
    longer_commute: "DistanceFromHome",
    more_sales: "Department",
    all_overtime: "OverTime",
}
"""Each change, and the field that it is seen in."""
