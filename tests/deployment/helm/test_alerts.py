"""Alert rules: each fires when it should, and only then, as Prometheus' own tester judges."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pmstream.metrics import METRICS
from tests.deployment.helm.chart import CHART, modes
from tests.deployment.tools import ROOT, promtool, run

RULES = CHART / "alerts" / "rules.yaml"
DASHBOARD = CHART / "dashboards" / "pmstream.json"
ALERTS = re.findall(r"alert: (\w+)", RULES.read_text())

PM = 'app="bank", pm="transfer-money"'
WORKER = f'{PM}, role="instances", worker="w-1"'
PARTITION = f'{WORKER}, topic="bank.transfer-money.inbox", partition="3"'

# alert: (fires at the minute, series that make it fire, series that do not); a value a minute
FIRES: dict[str, tuple[int, dict[str, str], dict[str, str]]] = {
    "PmstreamStopped": (2, {f"stopped{{{PM}}}": "1x5"}, {f"stopped{{{PM}}}": "0x5"}),
    "PmstreamAbsent": (
        7,
        {"else": "1x9"},
        {'info{app="bank", version="1", pod="bank-0"}': "1x9"},
    ),
    "PmstreamNotReady": (
        12,
        {'ready{app="bank", pod="bank-0"}': "0x15"},
        {'ready{app="bank", pod="bank-0"}': "0x8 1 0x6"},
    ),
    "PmstreamWorkerRestarts": (
        20,
        {f"worker_starts_total{{{WORKER}}}": "1+1x20"},
        {f"worker_starts_total{{{WORKER}}}": "1x10 2x10"},
    ),
    "PmstreamWorkerStalled": (
        20,
        {f"worker_stalls_total{{{WORKER}}}": "0x10 1x10"},
        {f"worker_stalls_total{{{WORKER}}}": "0x20"},
    ),
    "PmstreamPartitionNotRunning": (
        12,
        {f"partition_running{{{PARTITION}}}": "0x15"},
        # a partition that moves: its old owner still says 0
        {
            f"partition_running{{{PARTITION}}}": "0x15",
            f"partition_running{{{PARTITION.replace('w-1', 'w-2')}}}": "1x15",
        },
    ),
    "PmstreamPartitionBlocked": (
        12,
        {f"partition_blocked{{{PARTITION}}}": "1x15"},
        {f"partition_blocked{{{PARTITION}}}": "1x5 0x10"},
    ),
    "PmstreamPartitionPinned": (
        7,
        {f"partition_pinned{{{PARTITION}}}": "1x9"},
        {f"partition_pinned{{{PARTITION}}}": "1x3 0x6"},
    ),
    "PmstreamLagGrows": (
        45,
        {f"lag_records{{{PARTITION}}}": "0+1000x45"},
        {f"lag_records{{{PARTITION}}}": "45000-1000x45"},
    ),
    "PmstreamOverdue": (
        12,
        {f"overdue_seconds{{{PARTITION}}}": "600x15"},
        {f"overdue_seconds{{{PARTITION}}}": "60x15"},
    ),
    "PmstreamFailing": (
        6,
        {f"oldest_failure_seconds{{{PARTITION}}}": "7200x9"},
        {f"oldest_failure_seconds{{{PARTITION}}}": "60x9"},
    ),
    "PmstreamParked": (
        17,
        {f'instances{{{PARTITION}, condition="parked"}}': "2x20"},
        {f'instances{{{PARTITION}, condition="idle"}}': "2x20"},
    ),
    "PmstreamUnreadable": (
        2,
        {f'instances{{{PARTITION}, condition="unreadable"}}': "1x5"},
        {f'instances{{{PARTITION}, condition="unreadable"}}': "0x5"},
    ),
    "PmstreamRestoreStandsStill": (
        25,
        {f"restore_remaining_records{{{PARTITION}}}": "500x30"},
        {f"restore_remaining_records{{{PARTITION}}}": "3000-100x30"},
    ),
    "PmstreamFenced": (
        25,
        {f"fences_total{{{WORKER}}}": "0x5 0+1x20"},
        {f"fences_total{{{WORKER}}}": "0x10 1x20"},
    ),
    "PmstreamAborts": (
        25,
        {
            f'aborts_total{{{WORKER}, reason="rebalance"}}': "0+30x30",
            f"commits_total{{{WORKER}}}": "0+60x30",
        },
        {
            f'aborts_total{{{WORKER}, reason="rebalance"}}': "0+1x30",
            f"commits_total{{{WORKER}}}": "0+60x30",
        },
    ),
    "PmstreamPollHeadroomLow": (
        7,
        {f"poll_headroom_seconds{{{WORKER}}}": "5x9"},
        {f"poll_headroom_seconds{{{WORKER}}}": "119x9"},
    ),
    "PmstreamStoreStopsWrites": (
        4,
        {f"store_write_stopped{{{PARTITION}}}": "1x5"},
        {f"store_write_stopped{{{PARTITION}}}": "0x5"},
    ),
    "PmstreamCommitSlow": (
        30,
        {
            f'commit_seconds_bucket{{{WORKER}, le="5"}}': "0+1x35",
            f'commit_seconds_bucket{{{WORKER}, le="10"}}': "0+60x35",
            f'commit_seconds_bucket{{{WORKER}, le="+Inf"}}': "0+60x35",
        },
        {
            f'commit_seconds_bucket{{{WORKER}, le="5"}}': "0+60x35",
            f'commit_seconds_bucket{{{WORKER}, le="10"}}': "0+60x35",
            f'commit_seconds_bucket{{{WORKER}, le="+Inf"}}': "0+60x35",
        },
    ),
    "PmstreamDeadLetters": (
        12,
        {f'source_records_total{{{WORKER}, outcome="dead_letter"}}': "0x5 3x10"},
        {f'source_records_total{{{WORKER}, outcome="routed"}}': "0+9x15"},
    ),
}


def judge(folder: Path, alert: str, minute: int, series: dict[str, str], count: int) -> str:
    """What promtool has against `count` firing alerts; "" if nothing."""
    (folder / "rules.yaml").write_text(RULES.read_text())
    expression = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [
            {"series": f"pmstream_{name}", "values": values} for name, values in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": expression,
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": count}],
            }
        ],
    }
    file = folder / "test.yaml"
    file.write_text(json.dumps({"rule_files": ["rules.yaml"], "tests": [test]}))
    done = run([promtool(), "test", "rules", file], cwd=folder)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_when_it_should_and_only_then(alert: str, tmp_path: Path) -> None:
    minute, ill, well = FIRES[alert]

    assert judge(tmp_path, alert, minute, ill, 1) == ""
    assert judge(tmp_path, alert, minute, well, 0) == ""


def test_the_tester_tells_a_silent_alert(tmp_path: Path) -> None:
    minute, _, well = FIRES["PmstreamStopped"]

    assert "FAILED" in judge(tmp_path, "PmstreamStopped", minute, well, 1)


def test_each_alert_leads_to_its_page_of_the_runbook() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    sections = re.findall(r"^## (\w+)", runbook, re.MULTILINE)

    assert sections == ALERTS
    for each in rules():
        link = f"https://docs.example.com/runbook#{each['alert'].lower()}"
        assert each["annotations"]["runbook_url"] == link
        assert each["annotations"]["summary"]
        assert each["labels"]["severity"] in ("warning", "critical")


def test_rules_and_dashboard_ask_for_metrics_that_exist() -> None:
    known = {each.full_name for each in METRICS} | {"pmstream_commit_seconds_bucket"}
    board = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [each["expr"] for each in rules()]

    unknown = {name for expr in asked for name in re.findall(r"\bpmstream_\w+", expr)} - known

    assert unknown - {"pmstream_"} == set()


def rules() -> list[dict[str, Any]]:
    """As they stand in the PrometheusRule."""
    (group,) = modes()["monitoring"].one("PrometheusRule")["spec"]["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found
