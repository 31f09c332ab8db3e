"""Secrets, masked in what is told: keys, and what stands for them in URLs."""

from __future__ import annotations

from collections.abc import Iterable

from vecmill.store.url import blanked

MASK = "****"
# What is shorter is part of words.
_LEAST_CHARS = 6


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a text in which these secrets are masked; those of less than 6 characters are not looked for."""
    for secret in secrets:
        if len(secret) >= _LEAST_CHARS:
            text = text.replace(secret, MASK)
    return text


def masked_url(url: str) -> str:
    """Return a URL without user, password and query.

    >>> masked_url("https://me:pw@host/a.parquet?sig=abc")
    'https://****@host/a.parquet?****'
    """
    return blanked(url, MASK)
