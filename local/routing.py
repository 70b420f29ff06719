"""Chooses what a listener does with a request, as an Application Load Balancer does; it never normalises a path."""

import re
from collections.abc import Iterable

from local.template import Action, Rule


def wildcard(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """Compile a pattern of a listener rule: `*` is any number of characters, `?` exactly one."""
    parts = (".*" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in pattern)
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


class Router:
    """The rules of one listener, in order of priority, then its default action."""

    def __init__(self, rules: Iterable[Rule], default: Action) -> None:
        self._default = default
        self._rules = [
            (
                frozenset(rule.methods),
                [wildcard(path) for path in rule.paths],
                [wildcard(host, ignore_case=True) for host in rule.hosts],
                rule.action,
            )
            for rule in sorted(rules, key=lambda rule: rule.priority)
        ]

    def action(self, method: str, path: str, host: str) -> Action:
        """Return the action of the first rule whose every condition matches; `host` comes without a port."""
        for methods, paths, hosts, action in self._rules:
            if methods and method not in methods:
                continue
            if paths and not any(pattern.fullmatch(path) for pattern in paths):
                continue
            if hosts and not any(pattern.fullmatch(host) for pattern in hosts):
                continue
            return action
        return self._default
