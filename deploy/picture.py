"""Draws the resources of template.yaml, and what refers to what, for docs/architecture.md; it draws nothing by hand."""

import json
import re

from deploy.stack import ROOT, Missing
from local import cloudformation

BEGIN, END = "<!-- picture: make picture -->", "<!-- end of picture -->"
DRAWN = {
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "load balancer",
    "AWS::WAFv2::WebACL": "firewall",
    "AWS::Serverless::Function": "function",
    "AWS::ECS::Service": "Fargate service",
    "AWS::Kinesis::Stream": "stream",
    "AWS::RDS::DBCluster": "Aurora cluster",
    "AWS::RDS::DBProxy": "database proxy",
    "AWS::ElastiCache::ReplicationGroup": "cache",
    "AWS::S3::Bucket": "bucket",
    "AWS::OpenSearchService::Domain": "search domain",
    "AWS::SNS::Topic": "alarms",
}
THROUGH = {
    "AWS::ECS::TaskDefinition",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::ListenerRule",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::Kinesis::StreamConsumer",
    "AWS::RDS::DBProxyTargetGroup",
    "AWS::SecretsManager::Secret",
    "AWS::WAFv2::WebACLAssociation",
}
"""Resources that stand between two that are drawn: followed, not shown."""
ENTRANCES = {"AWS::ElasticLoadBalancingV2::ListenerRule", "AWS::ElasticLoadBalancingV2::Listener"}
ALSO = (("Firewall", "LoadBalancer"), ("DatabaseProxy", "DatabaseCluster"))
"""What a resource of its own joins, which neither of the two refers to."""


def into(page: str) -> str:
    """Return the page with the picture between its two marks."""
    if BEGIN not in page or END not in page:
        raise Missing("docs/architecture.md has no place for the picture")
    before, rest = page.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{drawn()}\n{END}{rest.split(END, 1)[1]}"


def drawn() -> str:
    """Return the picture as a Mermaid flowchart, a box a section."""
    resources = cloudformation.document(ROOT / "template.yaml")["Resources"]
    kinds = {name: item["Type"] for name, item in resources.items()}
    lines = ["```mermaid", "flowchart LR"]
    for section, names in sections().items():
        shown = [name for name in names if kinds.get(name) in DRAWN]
        if shown:
            lines.append(f'  subgraph {section.replace(" ", "_")}["{section}"]')
            lines += [f'    {name}["{name}<br/><i>{DRAWN[kinds[name]]}</i>"]' for name in shown]
            lines.append("  end")
    return "\n".join([*lines, *(f"  {one} --> {other}" for one, other in edges(resources, kinds)), "```"])


def edges(resources: dict[str, dict[str, object]], kinds: dict[str, str]) -> list[tuple[str, str]]:
    """Return who refers to whom among the drawn, through what stands between."""
    found = {
        (name, other)
        for name in resources
        if kinds[name] in DRAWN
        for other in _reached(name, resources, kinds, set())
        if other != name
    }
    found |= {
        ("LoadBalancer", other)
        for name in resources
        if kinds[name] in ENTRANCES
        for other in _reached(name, resources, kinds, set())
        if other != "LoadBalancer"
    }
    return sorted(found | set(ALSO))


def _reached(name: str, resources: dict[str, dict[str, object]], kinds: dict[str, str], seen: set[str]) -> set[str]:
    reached: set[str] = set()
    for other in references(resources[name].get("Properties", {})) & set(resources):
        if kinds[other] in DRAWN:
            reached.add(other)
        elif kinds[other] in THROUGH and other not in seen:
            reached |= _reached(other, resources, kinds, seen | {other})
    return reached


def references(value: object) -> set[str]:
    """Return the names that an expression refers to, attributes left aside."""
    text = json.dumps(value, default=str)
    named = re.findall(r'"Ref": "([^"]+)"|"Fn::GetAtt": \["([^"]+)"|\$\{([A-Za-z0-9.]+)\}', text)
    return {next(filter(None, found)).split(".")[0] for found in named}


def sections() -> dict[str, list[str]]:
    """Return the resources of each section of the file, in its order."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in (ROOT / "template.yaml").read_text(encoding="utf-8").splitlines():
        if banner := re.match(r" *# ── (.+?) ─+$", line):
            current = found.setdefault(banner[1], [])
        elif resource := re.match(r"  ([A-Z]\w+):", line):
            current.append(resource[1])
    return found
