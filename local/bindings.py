"""Gives the functions of the template their environment variables on this machine; it invents no variable."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local.cloudformation import Intrinsic, TemplateError
from local.template import Function


@dataclass(frozen=True, slots=True)
class Bindings:
    """Local values by variable name.

    `values` stand in for what AWS would know, `overrides` replace literals where the template declares the variable,
    `always` are what Lambda itself would set (credentials) or boto3 needs to find the emulator.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    always: Mapping[str, str] = field(default_factory=dict)

    def variables_of(self, function: Function) -> dict[str, str]:
        """Return the variables of one function; raise `TemplateError` for one that has no local value."""
        return dict(self.always) | {
            name: self._value(function.name, name, declared) for name, declared in function.environment.items()
        }

    def _value(self, function: str, name: str, declared: str | Intrinsic) -> str:
        if name in self.overrides:
            return self.overrides[name]
        if not isinstance(declared, Intrinsic):
            return declared
        if name not in self.values:
            raise TemplateError(f"{function}: the variable {name} is {declared.text} and has no local value")
        return self.values[name]

    def write(self, path: Path) -> None:
        """Write to a file that only its owner reads: there are secrets among the values."""
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def read(path: Path | None) -> Bindings:
    """Read what `Bindings.write` wrote; no path, no bindings."""
    return Bindings() if path is None else Bindings(**json.loads(path.read_text(encoding="utf-8")))
