"""The model card: it says every figure of the evidence, in tables that GitHub draws."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest

from contract.employee import IGNORED, PROTECTED
from contract.parameters import Parameters
from tests.training.training_evidence import made_up_evidence
from training.evaluation.evidence import Evidence
from training.report.card import PLOT_FOLDER, model_card
from training.report.plots import PLOTS, write_plots

LINK = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)")
CHAPTERS = (
    *("Intended use", "Data", "Model", "Figures", "Effects of the fields", "Fairness", "Drift"),
    *("Outliers", "Limits", "Where it comes from"),
)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return made_up_evidence()


@pytest.fixture(scope="module")
def card(evidence: Evidence) -> str:
    return model_card(evidence, "attrition", list(PLOTS))


def _chapter(card: str, title: str) -> str:
    return card.split(f"\n## {title}\n")[1].split("\n## ")[0]


def _tables(text: str) -> Iterator[list[list[str]]]:
    """Yield tables as rows of cells, split as GitHub does: at bars without a backslash."""
    for block in text.split("\n\n"):
        if block.startswith("|"):
            yield [
                [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                for line in block.splitlines()
            ]


def _shown(rate: Mapping[str, float], value: str = "value") -> str:
    return f"{rate[value]:.1%} ({rate['low']:.1%} to {rate['high']:.1%})"


def _row(text: str, *begin: str) -> list[str]:
    (row,) = (row for table in _tables(text) for row in table if row[: len(begin)] == [*begin])
    return row


def test_chapters_stand_in_order(card: str) -> None:
    assert card.startswith("# Model card: attrition\n\n## Intended use\n")
    assert tuple(re.findall(r"^## (.+)$", card, re.MULTILINE)) == CHAPTERS


def test_every_table_is_whole(card: str) -> None:
    tables = list(_tables(card))
    assert len(tables) == 9
    for table in tables:
        assert table[1] == ["---"] * len(table[0])
        assert len(table) > 2
        for row in table:
            assert len(row) == len(table[0]), row
            assert all(row), row
            assert not {"None", "nan", "`None`"} & {*row}


def test_equal_evidence_gives_equal_text(evidence: Evidence, card: str) -> None:
    assert model_card(deepcopy(evidence), "attrition", list(PLOTS)) == card
    changed = deepcopy(evidence)
    changed["interval"]["coverage"] = 0.5
    assert model_card(changed, "attrition", list(PLOTS)) != card


def test_every_headline_figure_is_there_with_its_interval_and_meaning(card: str) -> None:
    chapter = _chapter(card, "Figures")
    assert _row(chapter, "`cv_roc_auc`")[1:] == [
        "0.8612",
        "0.8321 to 0.8845",
        r"chance that a \| b",
    ]
    assert _row(chapter, "`cv_average_precision`")[1:3] == ["0.6813", "0.6201 to 0.7402"]
    assert _row(chapter, "`cv_ece`")[1:3] == ["0.0277", "none"]
    assert "294 records" in chapter
    assert "10 repeats of 5-fold cross-validation" in chapter


def test_data_model_and_threshold_are_said(card: str) -> None:
    data, model = _chapter(card, "Data"), _chapter(card, "Model")
    assert r"`employees\|2026.csv`: 1,470 rows, 237 leavers (16.1%)." in data
    assert r"Licence: Made up \| for tests, \<free\>." in data
    assert all(name in data for name in IGNORED)
    for part in (
        *("hold 80% of true probabilities, from 133 fits", "On 23 tables", "it held 79.3%"),
        *("0.1667, which is 1 / (1 + 5)", "17.6% of the table are referred"),
        *("`at_risk`", "`not_at_risk`", "`refer`", "windows of at least 50 records"),
    ):
        assert part in model, part


def test_the_protected_fields_are_inputs_only_where_the_parameter_says_so(
    evidence: Evidence, card: str
) -> None:
    names = ", ".join(PROTECTED)
    assert f"27 of the 30 fields. {names} are protected and no inputs" in _chapter(card, "Model")
    audit = deepcopy(evidence)
    audit["origin"]["parameters"] = {**audit["origin"]["parameters"], "use_protected": True}
    model = _chapter(model_card(audit, "attrition", []), "Model")
    assert f"all 30 fields, the protected {names} among them" in model
    assert "it is not for use" in model


def test_effects_are_said_for_every_field(evidence: Evidence, card: str) -> None:
    chapter = _chapter(card, "Effects of the fields")
    assert _row(chapter, "`BusinessTravel`")[1:] == [
        *("0.212", "Non-Travel (-0.71)", r"Travel\_Frequently (+0.52)"),
    ]
    assert _row(chapter, "`MonthlyIncome`")[1:] == ["0.412", "11000 (-0.60)", "1000 (+0.50)"]
    for effect in evidence["effects"]:
        assert _row(chapter, f"`{effect['feature']}`")


def test_fairness_is_said_for_every_group_and_attribute(evidence: Evidence, card: str) -> None:
    chapter = _chapter(card, "Fairness")
    attributes = cast("dict[str, dict[str, Any]]", evidence["fairness"]["attributes"])
    for name, attribute in attributes.items():
        for group in attribute["groups"]:
            rates = (group[rate] for rate in ("leave_rate", "selection_rate"))
            found, gap = group["true_positive_rate"], group["calibration_gap"]
            assert _row(chapter, f"`{name}`", group["name"])[2:] == [
                *(str(group["records"]), str(group["leavers"])),
                "yes" if group["judged"] else "no, too few",
                *(_shown(rate) for rate in rates),
                _shown(found) if found else "none",
                _shown(group["false_positive_rate"]),
                f"{gap['value']:+.1%} ({gap['low']:+.1%} to {gap['high']:+.1%})",
            ]
    ratios = list(_tables(chapter))[1]
    assert ratios[2] == [
        "`Gender`",
        "0.310 (0.260 to 0.350), Female / Male",
        "0.420 (0.370 to 0.460), Female / Male",
        "0.530 (0.480 to 0.570), Female / Male",
        "none",
    ]
    assert ratios[4] == ["`Age`", "none", "none", "none", "none"]


def test_drift_is_said_for_every_window_and_plant(evidence: Evidence, card: str) -> None:
    chapter = _chapter(card, "Drift")
    assert "at most 5% of windows without drift" in chapter
    found = cast("dict[str, list[dict[str, Any]]]", evidence["drift"])
    for row in found["alarms"]:
        tests = ("status", "ks", "chi_squared", "joint")
        assert _row(chapter, f"{row['window']:,}")[1:] == [
            f"{row['reference']:,}",
            *(_shown(row[test]) for test in tests),
        ]
    for row in found["power"]:
        begin = (row["change"], f"`{row['feature']}`", f"{row['window']:,}")
        rates = [_shown(row[rate]) for rate in ("status", "field", "joint")]
        assert _row(chapter, *begin)[3:] == rates


def test_outliers_are_said_for_every_kind(evidence: Evidence, card: str) -> None:
    chapter = _chapter(card, "Outliers")
    kinds = cast("dict[str, dict[str, Any]]", evidence["outliers"]["kinds"])
    columns = (
        *("breaks_a_rule", "caught", "caught_by_score", "isolation_forest"),
        *("local_outlier_factor", "named"),
    )
    for kind, found in kinds.items():
        assert _row(chapter, kind.replace("_", " "))[1:] == [
            f"{found['caught']['records']:,}",
            *(_shown(found[column], "share") for column in columns),
        ]


def test_hashes_parameters_and_environment_are_said(evidence: Evidence, card: str) -> None:
    chapter = _chapter(card, "Where it comes from")
    assert f"Data: SHA-256 `{'d0' * 32}`" in chapter
    assert f"Code: SHA-256 `{'c0' * 32}`" in chapter
    assert _row(chapter, "`seed`") == ["`seed`", "`7301`"]
    assert _row(chapter, "`use_protected`") == ["`use_protected`", "`false`"]
    parameters, _ = _tables(chapter)
    assert {name.strip("`") for name, _ in parameters[2:]} == {*vars(Parameters())}
    for package, version in evidence["environment"].items():
        assert _row(chapter, f"`{package}`") == [f"`{package}`", version]


def test_every_plot_is_linked_once_and_exists(
    evidence: Evidence, card: str, tmp_path: Path
) -> None:
    folder = tmp_path / PLOT_FOLDER
    folder.mkdir()
    names = write_plots(evidence, folder)
    links = LINK.findall(card)
    assert [target for _, target in links] == [f"{PLOT_FOLDER}/{name}" for name in names]
    for alternative, target in links:
        assert (tmp_path / target).is_file()
        assert len(alternative) > 20
        assert re.search(rf"\({re.escape(target)}\)\n\n\*[A-Z][^*\n]+\.\*\n", card), target


def test_a_plot_that_does_not_exist_is_not_linked(evidence: Evidence) -> None:
    assert LINK.findall(model_card(evidence, "attrition", ["cost.svg"])) == [
        ("Mean cost, leavers found and employees selected for every threshold", "plots/cost.svg")
    ]


def test_a_plot_without_a_place_is_an_error(evidence: Evidence) -> None:
    with pytest.raises(ValueError, match=r"no place for surprise\.svg"):
        model_card(evidence, "attrition", ["cost.svg", "surprise.svg"])


def test_a_name_cannot_change_the_card(evidence: Evidence) -> None:
    card = model_card(evidence, "a*b\n## Limits | <b>`", [])
    assert card.startswith("# Model card: a\\*b ## Limits \\| \\<b\\>\\`\n\n## Intended use\n")
