"""The built template as the emulator can take it: what it does not know is taken out, and each change is said."""

import copy
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

UNKNOWN = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::Budgets::Budget",
    "AWS::EC2::EIP",
    "AWS::EC2::NatGateway",
    "AWS::IAM::RolePolicy",
    "AWS::KMS::ReplicaKey",
    "AWS::Kinesis::StreamConsumer",
    "AWS::RDS::DBProxy",
    "AWS::RDS::DBProxyEndpoint",
    "AWS::RDS::DBProxyTargetGroup",
    "AWS::WAFv2::LoggingConfiguration",
    "AWS::WAFv2::WebACLAssociation",
}
"""Types that the emulator refuses a whole template for."""

NOT_FOLLOWED = {
    "DeploymentPreference": "the emulator knows no CodeDeploy: the alias moves at once",
    "ProvisionedConcurrencyConfig": "nothing is kept warm in an emulator",
    "SnapStart": "there is no snapshot in an emulator",
}
"""Properties of a function that are taken out, with the reason."""


def filtered(document: dict[str, Any], local: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the template without what the emulator does not know, and a line for each change.

    `local` replaces words in its expressions, such as an address that AWS would have given, by what is there.
    """
    document = copy.deepcopy(document)
    resources, said = document["Resources"], list[str]()
    out = {name for name, item in resources.items() if item["Type"] in UNKNOWN}
    out |= {name for name, item in resources.items() if references(item.get("Properties", {})) & out and only(item)}
    said += [f"without {name} ({resources.pop(name)['Type']})" for name in sorted(out)]
    for name, item in resources.items():
        said += _without_properties(name, item)
        if gone := set(_listed(item.get("DependsOn", []))) & out:
            item["DependsOn"] = [other for other in _listed(item["DependsOn"]) if other not in gone]
    replaced: list[str] = []
    changed = _replaced({**document, "Resources": resources}, local, out, replaced)
    for name in [name for name, item in changed["Outputs"].items() if references(item["Value"]) & out]:
        said.append(f"without the output {name}")
        del changed["Outputs"][name]
    return changed, said + sorted(set(replaced))


def only(item: Mapping[str, Any]) -> bool:
    """Tell a resource that means nothing without what it refers to."""
    return item["Type"] in {"AWS::EC2::Route", "AWS::RDS::DBProxyTargetGroup"}


def _without_properties(name: str, item: dict[str, Any]) -> Iterator[str]:
    if item["Type"] == "AWS::Serverless::Function":
        for key in NOT_FOLLOWED:
            if item["Properties"].pop(key, None) is not None:
                yield f"without {name}.{key}: {NOT_FOLLOWED[key]}"
    if item["Type"] == "AWS::SecretsManager::Secret" and (how := item["Properties"].pop("GenerateSecretString", None)):
        item["Properties"]["SecretString"] = _secret(how)
        yield f"{name} is made here: the emulator leaves no character out of what it makes"
    if item["Type"] == "AWS::ECS::Service":
        item["Properties"]["DesiredCount"] = 0
        yield f"no task of {name}: the emulator has no containers, its tasks are run beside it"


def _secret(how: Mapping[str, Any]) -> str:
    """Return what Secrets Manager would have made, in hex digits, which every secret of ours may have."""
    made = secrets.token_hex(how["PasswordLength"] // 2)
    if "SecretStringTemplate" not in how:
        return made
    return json.dumps(json.loads(how["SecretStringTemplate"]) | {how["GenerateStringKey"]: made})


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def references(value: Any) -> set[str]:
    """Return the logical ids that an expression refers to."""
    if isinstance(value, dict):
        found = {value["Ref"]} if set(value) == {"Ref"} else set()
        for key, item in value.items():
            found |= {str(_listed(item)[0]).split(".")[0]} if key == "Fn::GetAtt" else references(item)
        return found
    if isinstance(value, list):
        return set().union(*map(references, value))
    return (
        {word.split(".")[0] for word in re.findall(r"\$\{([A-Za-z0-9.]+)\}", value)}
        if isinstance(value, str)
        else set()
    )


def _replaced(value: Any, local: Mapping[str, str], out: set[str], said: list[str]) -> Any:
    """Return an expression with local words, and with the other branch where one refers to what is gone."""
    if isinstance(value, dict):
        if "Fn::If" in value and len(value) == 1:
            _, *branches = value["Fn::If"]
            kept = [branch for branch in branches if not references(branch) & out]
            if len(kept) == 1:
                return _replaced(kept[0], local, out, said)
        return {key: _replaced(item, local, out, said) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, local, out, said) for item in value]
    if isinstance(value, str):
        for word, instead in local.items():
            if word in value:
                said.append(f"{word} is {instead}")
                value = value.replace(word, instead)
    return value
