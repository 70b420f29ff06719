"""What a static checker finds in the template that CloudFormation would be given, less what has a reason."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.templates import ROOT
from tests.test_rights import expanded

CHECKOV = ROOT / ".venv-checks" / "bin" / "checkov"

EXCEPTIONS = {
    ("CKV_AWS_2", "HttpListener"): "redirects to HTTPS where there is a certificate; without one AllowedCidr is narrow",
    ("CKV_AWS_103", "HttpListener"): "the same listener: it has no TLS whose version could be named",
    ("CKV_AWS_115", "MarketDataFunction"): "only trading is kept from being crowded out",
    ("CKV_AWS_115", "AdminFunction"): "shares the account's limit",
    ("CKV_AWS_115", "ArchiverFunction"): "as many at once as shards times two, by its event source",
    ("CKV_AWS_115", "IndexerFunction"): "as many at once as shards times two, by its event source",
    ("CKV_AWS_116", "TradingFunction"): "called and answered by the balancer: there is no letter that could be dead",
    ("CKV_AWS_116", "MarketDataFunction"): "called and answered by the balancer",
    ("CKV_AWS_116", "AdminFunction"): "called and answered by the balancer",
    ("CKV_AWS_116", "ArchiverFunction"): "its event source has a failure destination, which keeps the records whole",
    ("CKV_AWS_116", "IndexerFunction"): "its event source has a failure destination, which keeps the records whole",
    ("CKV_AWS_118", "DatabaseWriter"): "Performance Insights is on; a serverless host shows no more",
    ("CKV_AWS_18", "ArchiveBucket"): "one role writes, none of ours reads; CloudTrail is the account's to switch on",
    ("CKV_AWS_18", "DeadLetterBucket"): "written by Lambda alone",
    ("CKV_AWS_18", "BalancerLogsBucket"): "is itself a log",
    ("CKV_AWS_84", "SearchDomain"): "slow searches show in the functions' logs; the domain is a projection",
    ("CKV_AWS_317", "SearchDomain"): "only four roles may enter, all ours, and each logs what it asks",
}  # fmt: skip
"""(check, resource) with why it stands; one that is not needed any more fails the test too."""


def test_checkov_finds_nothing_that_is_not_listed_with_its_reason(tmp_path: Path) -> None:
    if not CHECKOV.exists():
        pytest.skip("checkov is not installed: `make check` does that")
    path = tmp_path / "template.json"
    path.write_text(json.dumps(expanded("production")))
    command = [
        str(CHECKOV),
        "-f",
        str(path),
        "--framework",
        "cloudformation",
        "--skip-download",
        "--quiet",
        "--compact",
        "-o",
        "json",
    ]

    said = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=600).stdout)

    failed = {(item["check_id"], item["resource"].rpartition(".")[2]) for item in said["results"]["failed_checks"]}
    assert failed == set(EXCEPTIONS)
    assert said["summary"]["parsing_errors"] == 0
