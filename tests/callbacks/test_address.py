"""Only this Airflow makes tokens that its receiver accepts, and each names one purchase attempt of one connection."""

from __future__ import annotations

import string
import time
from base64 import urlsafe_b64encode

import pytest

from airflow_provider_minimax.callbacks import address
from airflow_provider_minimax.callbacks.address import (
    TOKEN_LIFETIME,
    callback_base_url,
    callback_url,
    read_token,
    token_of,
)
from airflow_provider_minimax.exceptions import MinimaxConfigurationError

BASE_URL = "AIRFLOW__MINIMAX__CALLBACK_BASE_URL"


def test_a_token_says_which_attempt_of_which_connection_it_was_made_for():
    assert read_token(token_of("minimax_default", "a-1.b_2")) == ("minimax_default", "a-1.b_2")


def test_the_longest_names_fit_into_an_address(monkeypatch):
    monkeypatch.setenv(BASE_URL, "https://airflow.example.com")
    url = callback_url("c" * 250, "a" * 64)
    assert read_token(url.rpartition("/")[2]) == ("c" * 250, "a" * 64)
    assert len(url) < 2000


def test_a_token_with_any_character_changed_is_none():
    token = token_of("minimax_default", "attempt")
    for place, sign in enumerate(token):
        other = next(one for one in string.ascii_letters if one != sign)
        assert read_token(token[:place] + other + token[place + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", ".", "a.b", "ä.ö", "x" * 100_000, ".".join(["a" * 20, "b" * 43]), token_of.__name__ + "\n"]
)
def test_what_is_no_token_is_none(text):
    assert read_token(text) is None


def test_the_content_of_one_token_with_the_signature_of_another_is_none():
    one, other = token_of("minimax_default", "one"), token_of("minimax_default", "other")
    assert read_token(f"{one.partition('.')[0]}.{other.partition('.')[2]}") is None


def test_a_token_made_with_another_secret_is_none(monkeypatch):
    token = token_of("minimax_default", "attempt")
    monkeypatch.setenv("AIRFLOW__MINIMAX__CALLBACK_SECRET", "another")
    address._keys.cache_clear()
    assert read_token(token) is None


def test_a_secret_can_be_rotated_by_putting_a_new_one_first(monkeypatch, secret):
    old = token_of("minimax_default", "attempt")
    monkeypatch.setenv("AIRFLOW__MINIMAX__CALLBACK_SECRET", f"new, {secret}")
    address._keys.cache_clear()
    new = token_of("minimax_default", "attempt")
    assert read_token(old) == read_token(new) == ("minimax_default", "attempt")
    monkeypatch.setenv("AIRFLOW__MINIMAX__CALLBACK_SECRET", "new")
    address._keys.cache_clear()
    assert (read_token(old), read_token(new)) == (None, ("minimax_default", "attempt"))


@pytest.mark.parametrize(
    ("worker", "is_accepted"),
    [
        ({"CORE__FERNET_KEY": "f"}, True),
        ({"CORE__FERNET_KEY": "", "API_AUTH__JWT_SECRET": "j"}, True),
        ({"CORE__FERNET_KEY": "f", "API_AUTH__JWT_SECRET": "another"}, True),
        ({"CORE__FERNET_KEY": "another", "API_AUTH__JWT_SECRET": "j"}, False),
        ({"MINIMAX__CALLBACK_SECRET": "own"}, False),
    ],
)
def test_without_the_option_any_secret_that_a_worker_shares_with_the_api_server_will_do(
    monkeypatch, worker, is_accepted
):
    def become(settings: dict[str, str]) -> None:
        for name in ("MINIMAX__CALLBACK_SECRET", "CORE__FERNET_KEY", "API_AUTH__JWT_SECRET"):
            monkeypatch.setenv(f"AIRFLOW__{name}", settings.get(name, ""))
        address._keys.cache_clear()

    become(worker)
    token = token_of("minimax_default", "attempt")
    become({"CORE__FERNET_KEY": "f", "API_AUTH__JWT_SECRET": "j"})
    assert (read_token(token) is not None) is is_accepted


def test_a_process_without_any_secret_says_so_and_accepts_nothing(monkeypatch):
    token = token_of("minimax_default", "attempt")
    # The last is what Airflow's settings have of a secret where nobody set one: the same text everywhere.
    for name, value in (("MINIMAX__CALLBACK_SECRET", ""), ("API_AUTH__JWT_SECRET", ""), ("CORE__FERNET_KEY", "{F}")):
        monkeypatch.setenv(f"AIRFLOW__{name}", value)
    address._keys.cache_clear()
    with pytest.raises(MinimaxConfigurationError, match=r"Set \[minimax\] callback_secret"):
        token_of("minimax_default", "attempt")
    assert read_token(token) is None


@pytest.mark.parametrize(
    ("age", "is_good"),
    [(300, True), (-300, True), (TOKEN_LIFETIME - 60, True), (TOKEN_LIFETIME + 60, False), (-2 * 3600, False)],
)
def test_a_token_ends_after_nine_days_and_clocks_may_differ_by_minutes(monkeypatch, age, is_good):
    now = time.time()
    monkeypatch.setattr(address.time, "time", lambda: now - age)
    token = token_of("minimax_default", "attempt")
    monkeypatch.setattr(address.time, "time", lambda: now)
    assert (read_token(token) is not None) is is_good


def test_a_token_signed_over_something_else_is_none(secret):
    key = address._keys()[0]
    for content in (b"[]", b"{}", b'["a"]', b'["a","b","c"]', b"no JSON"):
        encoded = urlsafe_b64encode(content).decode().rstrip("=")
        assert read_token(f"{encoded}.{address._signature(secret.encode(), encoded)}") is None
        assert address._signature(key, encoded) != address._signature(secret.encode(), encoded)


@pytest.mark.parametrize(
    ("conn_id", "attempt"), [("", "a"), ("c" * 251, "a"), ("größe", "a"), ("c", ""), ("c", "a" * 65), ("c", "a/b")]
)
def test_a_token_is_made_of_short_plain_names_only(conn_id, attempt):
    with pytest.raises(ValueError, match="must have 1 to"):
        token_of(conn_id, attempt)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("", None),
        ("  ", None),
        ("https://airflow.example.com", "https://airflow.example.com"),
        ("https://airflow.example.com/", "https://airflow.example.com"),
        (" http://127.0.0.1:8080/team/airflow/ ", "http://127.0.0.1:8080/team/airflow"),
    ],
)
def test_the_base_url_is_used_without_its_last_slash(monkeypatch, given, used):
    monkeypatch.setenv(BASE_URL, given)
    assert callback_base_url() == used


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("airflow.example.com", "must be an absolute URL"),
        ("/airflow", "must be an absolute URL"),
        ("ftp://airflow.example.com", "must be an absolute URL"),
        ("https://", "must be an absolute URL"),
        ("https://:8080", "must be an absolute URL"),
        ("https://[::1", "is not a URL"),
        ("https://a:99999", "is not a URL"),
        ("https://user:hunter2@airflow.example.com", "user name or password"),
        ("https://airflow.example.com?a=hunter2", "query or a fragment"),
        ("https://airflow.example.com/#", "query or a fragment"),
        ("https://airflow.example.com/a b", "without blanks"),
        ("https://größe.example.com", "printable ASCII"),
    ],
)
def test_a_wrong_base_url_is_named_with_the_rule_and_without_its_value(monkeypatch, given, rule):
    monkeypatch.setenv(BASE_URL, given)
    with pytest.raises(MinimaxConfigurationError, match=r"\[minimax\] callback_base_url: ") as caught:
        callback_base_url()
    assert rule in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_without_a_base_url_no_address_is_made(monkeypatch):
    monkeypatch.delenv(BASE_URL, raising=False)
    with pytest.raises(MinimaxConfigurationError, match="callback_base_url is not set"):
        callback_url("minimax_default", "attempt")
