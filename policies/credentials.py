"""Telling by its name, or by its looks, that a text is a secret."""

import re
from collections.abc import Iterator

from policies.declared import each, entries, is_list, is_mapping

__all__ = ["looks_like_a_credential", "names_a_secret", "secret_leaves"]

_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")
_SECRET_WORD = re.compile(
    r"(\w*(password|passwd|passphrase|secret|token|credential)|pwd|sas|key"
    r"|(access|account|api|client|private|shared)key)s?"
)
_SAYS_SOMETHING_ABOUT_IT = frozenset(
    (
        *("algorithm", "certificate", "dir", "enabled", "expiry", "file", "fingerprint", "folder"),
        *("hash", "header", "id", "ids", "kind", "length", "name", "names", "path", "provider"),
        *("ref", "required", "rotation", "scope", "sha", "store", "type", "uri", "url", "vault"),
        *("version", "days", "hours", "minutes", "seconds"),
    )
)
"""A name that ends so is about a secret and not the secret: apiKeyRotation, API_KEY_SHA256."""

_CREDENTIALS = re.compile(
    "|".join(
        (
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
            r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",  # a JSON Web Token
            r"\bdapi[0-9a-f]{32}",  # Databricks
            r"\b[\w~.-]{3}\dQ~[\w~.-]{31,34}",  # a client secret of Entra ID
            r"\b(?:Account|SharedAccess)Key=[\w+/=]{16,}",  # Azure connection strings
            r"[?&]sig=[\w%+/=-]{16,}",  # a shared access signature
            r"\bgh[a-z]_\w{36,}|\bgithub_pat_\w{22,}",
            r"\bpul-[0-9a-f]{40}",
            r"\bAKIA[0-9A-Z]{16}\b",
            r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@",  # an address with a password in it
            r"(?i:\b(?:password|pwd)=[^\s;{$]{4,})",
        )
    )
)
_REFERENCE = re.compile(r"\{\{.*\}\}|\$\{.*\}|\$\(.*\)")
"""A value that another system puts in later, such as `{{secrets/scope/key}}` on Databricks."""


def names_a_secret(name: str) -> bool:
    """Whether something so named holds a secret: databricks:token, API_KEY, clientSecret."""
    words = _words(name)
    if _is_about_a_secret(words):
        return False
    if "connectionstring" in "".join(words):
        return True
    before, after = ["", *words], [*words[1:], ""]
    return any(
        _SECRET_WORD.fullmatch(word) and (previous, word) != ("public", "key") and next_ != "vault"
        for previous, word, next_ in zip(before, words, after, strict=False)
    )


def looks_like_a_credential(text: str) -> bool:
    """Whether the text has the form of a known kind of token, key or password, or holds one."""
    return _CREDENTIALS.search(text) is not None


def secret_leaves(name: str, value: object) -> Iterator[str]:
    """Find what is secret and stands in clear in a value so named; yields names, never values.

    Nested values are named by their path: `registry.password`, `tokens[0]`. Left out: what is
    empty or a truth value, what is encrypted (`{secure: …}`), and references to a secret elsewhere.
    """
    yield from _leaves(name, value, named=names_a_secret(name))


def _words(name: str) -> list[str]:
    return [found.lower().rstrip("0123456789") for found in _WORD.findall(name)]


def _is_about_a_secret(words: list[str]) -> bool:
    return not words or words[-1] in _SAYS_SOMETHING_ABOUT_IT


def _leaves(name: str, value: object, *, named: bool) -> Iterator[str]:
    if is_mapping(value):
        nested = entries(value)
        if set(nested) == {"secure"}:
            return
        for key, item in nested.items():
            inherited = named and not _is_about_a_secret(_words(key))
            yield from _leaves(f"{name}.{key}", item, named=inherited or names_a_secret(key))
    elif is_list(value):
        for index, item in enumerate(each(value)):
            yield from _leaves(f"{name}[{index}]", item, named=named)
    elif isinstance(value, str):
        meant = value.strip()
        if meant.lower() in ("", "true", "false") or _REFERENCE.fullmatch(meant):
            return
        if named or looks_like_a_credential(meant):
            yield name
    elif named and isinstance(value, int | float) and not isinstance(value, bool):
        yield name
