"""The issuer's keys: rotated, withdrawn, late, wrong, from elsewhere, and asked for by many."""

import asyncio
import json
from typing import Any

import pytest
from app_issuer import DISCOVERY, KEYS, Answer, Issuer, after, endless, fixed, jwk, sign, until
from app_tokens import Asked

from app.issuer_keys import (
    LIFETIME_SECONDS,
    MAX_AGE_SECONDS,
    RETRY_SECONDS,
    UNKNOWN_KEY_SECONDS,
)

UNAVAILABLE = "bearer tokens cannot be verified now: the issuer gives no keys"


# When the issuer is asked


def test_nobody_asks_before_there_is_a_token(asked: Asked, issuer: Issuer) -> None:
    assert not issuer.asked
    assert asked.caller(sign(issuer.v2()))
    assert issuer.asked == {DISCOVERY: 1, KEYS: 1}


def callers(asked: Asked, tokens: list[bytes]) -> list[Any]:
    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*map(asked.verifier.caller, tokens), return_exceptions=True)

    return asked.run(all_at_once())


def test_a_stampede_of_new_tokens_causes_one_fetch(asked: Asked, issuer: Issuer) -> None:
    issuer.answers[DISCOVERY] = after(0.2, issuer.answer)
    tokens = [sign(issuer.v2(jti=str(number))) for number in range(50)]
    found = callers(asked, tokens)
    assert len({caller.id for caller in found}) == 1
    assert issuer.asked == {DISCOVERY: 1, KEYS: 1}


def test_a_stampede_after_a_rotation_causes_one_fetch(asked: Asked, issuer: Issuer) -> None:
    assert asked.caller(sign(issuer.v2()))
    asked.clock.passed += UNKNOWN_KEY_SECONDS
    issuer.keys.append(jwk("three"))
    issuer.answers[DISCOVERY] = after(0.2, issuer.answer)
    found = callers(asked, [sign(issuer.v2(jti=str(n)), "three") for n in range(50)])
    assert len({caller.id for caller in found}) == 1
    assert issuer.fetches == 2


def test_random_key_ids_ask_no_more_than_once_in_the_interval(asked: Asked, issuer: Issuer) -> None:
    assert asked.caller(sign(issuer.v2()))
    for number in range(600):
        asked.clock.passed = number * UNKNOWN_KEY_SECONDS / 200
        error = asked.refused(sign(issuer.v2(), header={"kid": f"random {number}"}))
        assert error.status == 401
    assert issuer.fetches == 1 + 2


def test_one_who_goes_away_does_not_take_the_fetch_along(asked: Asked, issuer: Issuer) -> None:
    issuer.answers[DISCOVERY] = after(0.2, issuer.answer)

    async def one_leaves() -> Any:
        first = asyncio.create_task(asked.verifier.caller(sign(issuer.v2(jti="1"))))
        second = asyncio.create_task(asked.verifier.caller(sign(issuer.v2(jti="2"))))
        await asyncio.sleep(0.05)
        first.cancel()
        return await second

    assert asked.run(one_leaves())
    assert issuer.fetches == 1


# Rotation and withdrawal


def test_a_new_key_is_known_after_the_interval(asked: Asked, issuer: Issuer) -> None:
    assert asked.caller(sign(issuer.v2()))
    issuer.keys = [jwk("two"), jwk("three")]
    new = sign(issuer.v2(), "three")
    assert asked.refused(new).status == 401
    asked.clock.passed += UNKNOWN_KEY_SECONDS
    assert asked.caller(new)


def test_known_tokens_are_dropped_with_their_key(asked: Asked, issuer: Issuer) -> None:
    old, other = sign(issuer.v2()), sign(issuer.v2(), "two")
    assert asked.caller(old)
    assert asked.caller(other)
    issuer.keys = [jwk("two")]
    asked.clock.passed = LIFETIME_SECONDS
    # The refresh happens beside this request, which does not wait for it.
    assert asked.caller(old)
    asked.settle()
    assert "does not have" in asked.refused(old).detail
    assert asked.caller(sign(issuer.v2(exp=int(asked.clock.now()) + 600), "two"))


def test_a_key_that_is_replaced_under_its_id_is_another_key(asked: Asked, issuer: Issuer) -> None:
    token = sign(issuer.v2())
    assert asked.caller(token)
    issuer.keys = [jwk("stranger", kid="one")]
    asked.clock.passed = LIFETIME_SECONDS
    assert asked.caller(token)
    asked.settle()
    assert "signature" in asked.refused(token).detail
    assert asked.caller(
        sign(issuer.v2(exp=int(asked.clock.now()) + 600), "stranger", header={"kid": "one"})
    )


def test_a_token_refused_for_its_signature_is_judged_anew_by_new_keys(
    asked: Asked, issuer: Issuer
) -> None:
    later = int(asked.clock.now() + LIFETIME_SECONDS + 600)
    token = sign(issuer.v2(exp=later), "stranger", header={"kid": "one"})
    assert "signature" in asked.refused(token).detail
    issuer.keys = [jwk("stranger", kid="one")]
    asked.clock.passed = LIFETIME_SECONDS
    asked.refused(token)
    asked.settle()
    assert asked.caller(token)


def test_keys_that_stay_keep_known_tokens(
    asked: Asked, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign(issuer.v2())
    assert asked.caller(token)
    issuer.keys.reverse()
    asked.clock.passed = LIFETIME_SECONDS
    assert asked.caller(token)
    asked.settle()
    assert issuer.fetches == 2
    monkeypatch.setattr("app.entra._judge", None)
    assert asked.caller(token)


def test_an_issuer_that_withdraws_every_key_is_taken_at_its_word(
    asked: Asked, issuer: Issuer
) -> None:
    token = sign(issuer.v2())
    assert asked.caller(token)
    issuer.keys = []
    asked.clock.passed = LIFETIME_SECONDS
    assert asked.caller(token)
    asked.settle()
    error = asked.refused(token)
    assert (error.status, error.detail) == (503, UNAVAILABLE)


# An issuer that does not answer


def test_without_any_key_the_caller_is_asked_to_come_back(
    asked: Asked, issuer: Issuer, capfd: pytest.CaptureFixture[str]
) -> None:
    url, token = issuer.url, sign(issuer.v2())
    issuer.close()
    for _ in range(20):
        error = asked.refused(token)
        assert (error.status, error.detail) == (503, UNAVAILABLE)
        assert error.headers == {"Retry-After": "5"}
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["reason"] == (
        "the discovery document: cannot be reached: ConnectionRefusedError"
    )
    assert url not in lines[0]


def test_an_issuer_that_comes_back_is_asked_again(asked: Asked, issuer: Issuer) -> None:
    issuer.answers[KEYS] = fixed(500)
    token = sign(issuer.v2())
    assert asked.refused(token).status == 503
    del issuer.answers[KEYS]
    assert asked.refused(token).status == 503
    asked.clock.passed += RETRY_SECONDS
    assert asked.caller(token)


def test_old_keys_are_kept_while_the_issuer_does_not_answer(asked: Asked, issuer: Issuer) -> None:
    far = int(asked.clock.now() + 2 * MAX_AGE_SECONDS)
    tokens = (sign(issuer.v2(exp=far, jti=str(number))) for number in range(1000))
    token = next(tokens)
    assert asked.caller(token)
    issuer.close()
    for hours in (1, 2, 12, 23.9):
        asked.clock.passed = hours * 3600
        assert asked.caller(token)
        assert asked.caller(next(tokens))
        asked.settle()
    asked.clock.passed = MAX_AGE_SECONDS
    for late in (token, next(tokens)):
        assert asked.refused(late).status == 503


def test_an_issuer_that_fails_is_asked_once_in_the_interval(asked: Asked, issuer: Issuer) -> None:
    token = sign(issuer.v2(exp=int(asked.clock.now() + MAX_AGE_SECONDS)))
    assert asked.caller(token)
    issuer.answers[DISCOVERY] = fixed(503)
    for number in range(300):
        asked.clock.passed = LIFETIME_SECONDS + number * UNKNOWN_KEY_SECONDS / 100
        assert asked.caller(token)
        asked.settle()
    assert issuer.asked == {DISCOVERY: 1 + 3, KEYS: 1}


def test_a_slow_issuer_delays_nobody_who_is_known(
    asked: Asked, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.issuer_keys.FETCH_SECONDS", 0.3)
    token = sign(issuer.v2())
    assert asked.caller(token)
    asked.clock.passed = LIFETIME_SECONDS
    issuer.answers[DISCOVERY] = until(issuer)
    assert asked.caller(token)
    assert asked.caller(token)
    asked.settle()
    assert asked.caller(token)
    issuer.released.set()


def test_nobody_waits_for_a_slow_issuer_for_long(
    asked: Asked,
    issuer: Issuer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("app.issuer_keys.FETCH_SECONDS", 0.3)
    issuer.answers[DISCOVERY] = until(issuer)
    assert asked.refused(sign(issuer.v2())).status == 503
    assert '"reason":"no answer within 0.3 s"' in capfd.readouterr().out
    issuer.released.set()


@pytest.mark.parametrize("answer", [fixed(302, Location="/"), fixed(200, b"{}"), endless])
def test_a_wrong_answer_changes_nothing(
    asked: Asked, issuer: Issuer, answer: Answer, capfd: pytest.CaptureFixture[str]
) -> None:
    token = sign(issuer.v2(exp=int(asked.clock.now() + MAX_AGE_SECONDS)))
    assert asked.caller(token)
    issuer.answers[KEYS] = answer
    asked.clock.passed = LIFETIME_SECONDS
    capfd.readouterr()
    assert asked.caller(token)
    asked.settle()
    assert asked.caller(token)
    (line,) = capfd.readouterr().out.splitlines()
    assert json.loads(line)["outcome"] == "kept"
