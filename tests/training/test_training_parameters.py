"""Training parameters: what is read, and that every other thing is refused by name."""

import pytest

from training.parameters import Parameters, ParametersError, parse_parameters


def test_absent_keys_keep_their_defaults() -> None:
    assert parse_parameters("{}") == Parameters()
    assert parse_parameters('{"seed": 7}') == Parameters(seed=7)


def test_a_whole_number_serves_where_a_number_is_wanted() -> None:
    value = parse_parameters('{"regularisation_c": 1}').regularisation_c
    assert value == 1.0
    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected a JSON object"),
        ("3", "expected a JSON object"),
        ('{"regularisation_c": NaN}', "NaN is not a JSON number"),
        ('{"depth": 3}', "'depth' is unknown; known: cv_folds, cv_repeats, regularisation_c, seed"),
        ('{"seed": "7"}', "'seed': expected a whole number"),
        ('{"seed": 7.5}', "'seed': expected a whole number"),
        ('{"seed": true}', "'seed': expected a whole number"),
        ('{"seed": null}', "'seed': expected a whole number"),
        ('{"regularisation_c": "1"}', "'regularisation_c': expected a number"),
        ('{"regularisation_c": 1' + "0" * 400 + "}", "'regularisation_c': the number is too large"),
        ('{"seed": -1}', "'seed': expected a value from 0 to"),
        ('{"regularisation_c": 0}', "'regularisation_c': expected a value from"),
        ('{"cv_folds": 1}', "'cv_folds': expected a value from 2 to 10"),
        ('{"cv_repeats": 1}', "'cv_repeats': expected a value from 2 to 100"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(ParametersError, match=message):
        parse_parameters(text)
