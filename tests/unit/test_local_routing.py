"""The rules of a listener, as an Application Load Balancer follows them."""

import pytest

from local.routing import Router, wildcard
from local.template import Forward, Rule


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/v1/markets/*", "/v1/markets/BTC-USD/book", True),
        ("/v1/markets/*", "/v1/markets/", True),
        ("/v1/markets/*", "/v1/markets", False),
        ("/v1/markets*", "/v1/markets", True),
        ("*/book", "/v1/markets/BTC-USD/book", True),
        ("/v?/time", "/v1/time", True),
        ("/v?/time", "/v10/time", False),
        ("/v?/time", "/v/time", False),
        ("/v1/time", "/V1/time", False),
        ("/v1/time", "/v1/time/", False),
        ("/a.b", "/aXb", False),
        ("/[a]+", "/a", False),
        ("*", "//..//%2F\n", True),
    ],
)
def test_a_star_is_any_text_and_a_question_mark_one_character(pattern: str, path: str, matches: bool) -> None:
    assert bool(wildcard(pattern).fullmatch(path)) is matches


def test_the_first_rule_by_priority_whose_every_condition_matches_decides() -> None:
    router = Router(
        [
            Rule(20, ("/a*",), (), (), Forward("late")),
            Rule(10, ("/a/*", "/b/*"), ("GET", "HEAD"), (), Forward("early")),
            Rule(15, (), (), ("*.example.com",), Forward("by host")),
        ],
        Forward("default"),
    )

    assert router.action("GET", "/a/1", "x") == Forward("early")
    assert router.action("HEAD", "/b/1", "x") == Forward("early")
    assert router.action("POST", "/a/1", "x") == Forward("late")
    assert router.action("POST", "/b/1", "x") == Forward("default")
    assert router.action("POST", "/c", "API.Example.COM") == Forward("by host")
