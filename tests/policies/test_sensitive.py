"""What looks like a credential or like personal data is masked, and plain words are left alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import sensitive
from policies.sensitive import mask, mask_value, may_hold_secrets, redact_secrets, redact_value

SECRETS = {
    "AKIAIOSFODNN7EXAMPLE": "aws-key",
    "ghp_" + "a1B2" * 9: "github-token",
    "xoxb-123456789012-abcdefABCDEF": "slack-token",
    "sk-proj-" + "aB3d" * 8: "model-api-key",
    "AIza" + "Sy_-0" * 7: "google-key",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlX3NpZw": "jwt",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----": "private-key",
    "glpat-abcdefghij0123456789": "gitlab-token",
}
CLEAN = [
    "The Heron weighs 24.5 kg and carries 180 kg; order 4711 ships on 2026-11-20.",
    "Reset your password in the portal: the password must have 12 characters.",
    "See page 12 of the handbook, section 3.4.1, and ticket TCK-000123.",
    "Invoice 2026-000017 over 1.234.567,89 EUR, 4000 units, 0032 pallets.",
    "The secret of a good frame is the steel; the token gesture was noted.",
    "https://example.com/docs?page=2&sort=asc and git@example:repo without keys",
]


@pytest.mark.parametrize(("secret", "kind"), SECRETS.items(), ids=list(SECRETS.values()))
def test_a_credential_is_replaced_by_its_kind(secret: str, kind: str) -> None:
    assert redact_secrets(f"before {secret} after") == f"before [{kind}] after"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password: hunter2hunter2", "password: [assigned-secret]"),
        ('{"api_key": "abcd1234efgh5678"}', '{"api_key": "[assigned-secret]"}'),
        ("postgres://app:s3cret@db/prod", "postgres://[url-password]@db/prod"),
        ("Authorization: Bearer abcdefghijklmnopqrstuvwxyz", "Authorization: Bearer [bearer-token]"),
    ],
)
def test_a_credential_in_its_setting_is_replaced(text: str, masked: str) -> None:
    assert redact_secrets(text) == masked


@pytest.mark.parametrize("text", CLEAN)
def test_plain_text_is_left_alone(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to ada.lovelace@larkspur.example", "write to [email]"),
        ("card 4111 1111 1111 1111 please", "card [card] please"),
        ("card 4111 1111 1111 1112 please", "card 4111 1111 1111 1112 please"),
        ("BE68 5390 0754 7034 is the account", "[iban] is the account"),
        ("call +32 9 123 45 67 now", "call [phone] now"),
    ],
)
def test_personal_data_is_masked_where_a_check_digit_agrees(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_secret_field_is_hidden_whatever_its_value_looks_like() -> None:
    value = {"user": "ada", "password": "blue", "headers": [{"authorization": "x"}], "tokens": 12, "token": "t"}
    assert mask_value(value) == {
        "user": "ada",
        "password": "[secret]",
        "headers": [{"authorization": "[secret]"}],
        "tokens": 12,
        "token": "[secret]",
    }


def test_results_keep_fields_that_only_sound_secret() -> None:
    value = {"token": "page-2", "authorization": "approved by Clara", "client_secret": "blue"}
    assert redact_value(value) == {"token": "page-2", "authorization": "approved by Clara", "client_secret": "[secret]"}


def test_long_texts_are_shortened_where_they_are_kept() -> None:
    assert mask_value({"text": "a" * 3000})["text"] == "a" * 2000 + "… (3000 characters)"


@given(st.text(), st.sampled_from(sorted(SECRETS)), st.text())
def test_no_credential_survives_whatever_stands_around_it(before: str, secret: str, after: str) -> None:
    text = f"{before} {secret} {after}"
    assert may_hold_secrets(text)
    assert secret not in redact_secrets(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_masking_json_gives_json(value: object) -> None:
    for made in (mask_value(value), redact_value(value)):
        assert json.loads(json.dumps(made)) == made


_SEEDS = [
    *SECRETS,
    "hunter2hunter2",
    "://ada:pw@",
    "passphrase",
    "api-key",
    "Refresh_Token",
    "SharedAccessKey=",
    "rk_live_",
]


@given(
    st.text(alphabet="aıİſKks@:/-_ .", max_size=20),
    st.sampled_from(_SEEDS),
    st.sampled_from([str, str.upper, str.lower, str.title, lambda text: text.replace("s", "ſ").replace("k", "K")]),
    st.text(max_size=20),
)
def test_the_quick_look_overlooks_nothing_that_the_recognisers_find(before, seed, spelled, after) -> None:
    text = before + spelled(seed) + after
    found = any(pattern.search(text) for _kind, pattern in sensitive._SECRETS)
    assert not found or may_hold_secrets(text)


def test_a_field_that_is_a_credential_by_its_name_alone_is_hidden() -> None:
    for name in ("passphrase", "password", "client_secret", "api-key", "private_key", "session_token"):
        assert may_hold_secrets(json.dumps({name: "open sesame"})), name
        assert redact_value({name: "open sesame"}) == {name: "[secret]"}
