"""Training parameters: what is read, and that every other thing is refused by name."""

import pytest

from contract.parameters import Parameters, ParametersError, parse_parameters


def test_absent_keys_keep_their_defaults() -> None:
    assert parse_parameters("{}") == Parameters()
    assert parse_parameters('{"seed": 7}') == Parameters(seed=7)


def test_a_switch_is_a_truth_value() -> None:
    assert parse_parameters('{"use_protected": true}').use_protected is True
    assert Parameters().use_protected is False


def test_a_whole_number_serves_where_a_number_is_wanted() -> None:
    value = parse_parameters('{"missed_leaver_cost": 1}').missed_leaver_cost
    assert value == 1.0
    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected a JSON object"),
        ("3", "expected a JSON object"),
        ('{"missed_leaver_cost": NaN}', "NaN is not a JSON number"),
        ('{"depth": 3}', "'depth' is unknown; known: cv_folds, cv_repeats, interval_level"),
        ('{"seed": "7"}', "'seed': expected a whole number"),
        ('{"seed": 7.5}', "'seed': expected a whole number"),
        ('{"seed": true}', "'seed': expected a whole number"),
        ('{"seed": null}', "'seed': expected a whole number"),
        ('{"missed_leaver_cost": "1"}', "'missed_leaver_cost': expected a number"),
        (
            '{"missed_leaver_cost": 1' + "0" * 400 + "}",
            "'missed_leaver_cost': the number is too large",
        ),
        ('{"seed": -1}', "'seed': expected a value from 0 to"),
        ('{"missed_leaver_cost": 0}', "'missed_leaver_cost': expected a value from"),
        ('{"cv_folds": 1}', "'cv_folds': expected a value from 2 to 10"),
        ('{"cv_repeats": 1}', "'cv_repeats': expected a value from 2 to 100"),
        ('{"interval_level": 1}', "'interval_level': expected a value from 0.5 to 0.99"),
        ('{"replicates": 1.5}', "'replicates': expected a whole number"),
        ('{"use_protected": 1}', "'use_protected': expected true or false"),
        ('{"use_protected": "no"}', "'use_protected': expected true or false"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(ParametersError, match=message):
        parse_parameters(text)
