"""Members and pages of requests, read from JSON and queries."""

from typing import Any

import pytest

from vpc_cni.addons.api.members import Members, decode, parse_body, parse_query
from vpc_cni.addons.api.paging import read_paging
from vpc_cni.addons.rules import InputError

BODY = Members(
    {"text": "x", "number": 1, "none": None, "list": ["a"], "map": {"a": "b"}, "deep": [{"text": "y"}], "odd": [1]}
)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda: BODY.text("text"), "x"),
        (lambda: BODY.text("none"), None),
        (lambda: BODY.text("absent"), None),
        (lambda: BODY.texts("list"), ("a",)),
        (lambda: BODY.texts("none"), None),
        (lambda: BODY.text_map("map"), {"a": "b"}),
        (lambda: [each.text("text") for each in BODY.structures("deep") or ()], ["y"]),
        (lambda: BODY.inner("none"), None),
    ],
)
def test_members_of_their_types(read: Any, value: object) -> None:
    assert read() == value


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: BODY.text("number"), "number must be a string"),
        (lambda: BODY.text("text", minimum=2), "text must have at least 2 characters"),
        (lambda: BODY.text("text", minimum=2, maximum=3), "text must have 2 to 3 characters"),
        (lambda: BODY.required("absent"), "absent is missing"),
        (lambda: BODY.texts("odd"), "odd must be a list of strings"),
        (lambda: BODY.texts("text"), "text must be a list"),
        (lambda: BODY.text_map("list"), "list must be a map of strings"),
        (lambda: BODY.structures("list"), "list must be a list of objects"),
        (lambda: BODY.inner("list"), "list must be an object"),
        (lambda: (BODY.structures("deep") or ())[0].required("x"), "deep.x is missing"),
    ],
)
def test_members_of_other_types(read: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read()
    assert caught.value.message == message


def test_queries() -> None:
    query = parse_query("types=a&types=b+c&types=&flag=true&odd=%3D%26%C3%BC&alone")
    assert query.texts("types") == ("a", "b c", "")
    with pytest.raises(InputError, match="types is given more than once"):
        query.text("types")
    assert query.flag("flag")
    assert not query.flag("absent")
    assert (query.text("odd"), query.text("alone"), query.text("absent")) == ("=&ü", "", None)
    assert parse_query("").texts("x") == ()


@pytest.mark.parametrize("text", ["%ff", "a%00", "%ed%a0%80"])
def test_what_is_no_text(text: str) -> None:
    with pytest.raises(InputError):
        decode(text)


def test_a_plus_is_a_plus_in_a_path() -> None:
    assert decode("a+b%2Bc%20d") == "a+b+c d"


def test_an_empty_body_has_no_members() -> None:
    assert parse_body(b"").values == {}
    assert parse_body(b' {"a": "\\u00fc"} ').text("a") == "ü"


def test_a_page_goes_on_after_its_token() -> None:
    paging = read_paging(parse_query("maxResults=2"), "ListAddons", "prod")
    assert (paging.limit, paging.after) == (2, "")
    assert paging.token("") is None
    token = paging.token("a/ü")
    again = read_paging(parse_query(f"nextToken={token}"), "ListAddons", "prod")
    assert (again.limit, again.after) == (100, "a/ü")
    for other in (("ListAddons", "stage"), ("ListUpdates", "prod"), ("ListAddons",), ("ListAddons", None)):
        with pytest.raises(InputError):
            read_paging(parse_query(f"nextToken={token}"), *other)
