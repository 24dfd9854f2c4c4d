"""Alerts speak of metrics that there are, fire when they should and only then, and each has its runbook."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
from ruamel.yaml import YAML

from tests.deploy import metric_names

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yaml"
ALERTS: list[dict[str, Any]] = [
    rule for group in YAML(typ="safe").load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]
]
NAMES = [alert["alert"] for alert in ALERTS]

PHASE = 'service="phase"'
REACTIONS = f'{PHASE}, consumer="reactions"'
QUIET, GROWING = "0x240", "0+3x240"

CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "OmoiServiceAbsent": (
        {f"omoi_ready{{{PHASE}}}": "1x60 _x180", 'omoi_ready{service="gates"}': "1x240"},
        {f"omoi_ready{{{PHASE}}}": "1x240", 'omoi_ready{service="gates"}': "_x120 1x120"},
    ),
    "OmoiServiceNotReady": (
        {f'omoi_ready{{{PHASE}, pod="a"}}': QUIET, f'omoi_ready{{{PHASE}, pod="b"}}': QUIET},
        {f'omoi_ready{{{PHASE}, pod="a"}}': QUIET, f'omoi_ready{{{PHASE}, pod="b"}}': "1x240"},
    ),
    "OmoiReplicaNotReady": (
        {f'omoi_ready{{{PHASE}, pod="a"}}': QUIET, f'omoi_ready{{{PHASE}, pod="b"}}': "1x240"},
        {f'omoi_ready{{{PHASE}, pod="a"}}': "1x240", f'omoi_ready{{{PHASE}, pod="b"}}': "1x240"},
    ),
    "OmoiCommandsBreak": (
        {f'omoi_commands_total{{{PHASE}, command="transition", outcome="internal_error"}}': "0x238 1x2"},
        {f'omoi_commands_total{{{PHASE}, command="transition", outcome="internal_error"}}': "5x240"},
    ),
    "OmoiCommandsUnavailable": (
        {
            f'omoi_commands_total{{{PHASE}, outcome="unavailable"}}': "0+1x240",
            f'omoi_commands_total{{{PHASE}, outcome="accepted"}}': "0+10x240",
        },
        {
            f'omoi_commands_total{{{PHASE}, outcome="unavailable"}}': "0+1x240",
            f'omoi_commands_total{{{PHASE}, outcome="accepted"}}': "0+100x240",
        },
    ),
    "OmoiCommandsRefused": (
        {
            f'omoi_commands_total{{{PHASE}, outcome="illegal_transition"}}': "0+8x240",
            f'omoi_commands_total{{{PHASE}, outcome="accepted"}}': "0+2x240",
        },
        {
            f'omoi_commands_total{{{PHASE}, outcome="illegal_transition"}}': "0+2x240",
            f'omoi_commands_total{{{PHASE}, outcome="accepted"}}': "0+8x240",
        },
    ),
    "OmoiCommandsWait": (
        {f'omoi_consumer_lag_events{{{PHASE}, consumer="commands"}}': "5000x240"},
        {f"omoi_consumer_lag_events{{{REACTIONS}}}": "5000x240"},
    ),
    "OmoiCommitsSlow": (
        {
            f'omoi_commit_seconds_bucket{{{PHASE}, le="0.25"}}': "0+9x240",
            f'omoi_commit_seconds_bucket{{{PHASE}, le="1"}}': "0+10x240",
            f'omoi_commit_seconds_bucket{{{PHASE}, le="+Inf"}}': "0+10x240",
        },
        {
            f'omoi_commit_seconds_bucket{{{PHASE}, le="0.1"}}': "0+10x240",
            f'omoi_commit_seconds_bucket{{{PHASE}, le="+Inf"}}': "0+10x240",
        },
    ),
    "OmoiConflicts": (
        {
            f"omoi_append_conflicts_total{{{PHASE}}}": "0+60x240",
            f"omoi_commit_seconds_count{{{PHASE}}}": "0+60x240",
        },
        {
            f"omoi_append_conflicts_total{{{PHASE}}}": "0+1x240",
            f"omoi_commit_seconds_count{{{PHASE}}}": "0+60x240",
        },
    ),
    "OmoiTimersOverdue": (
        {f"omoi_timers_overdue_seconds{{{PHASE}}}": "0+15x240"},
        {f"omoi_timers_overdue_seconds{{{PHASE}}}": "2x240"},
    ),
    "OmoiRelayBehind": (
        {f"omoi_relay_lag_seconds{{{PHASE}}}": "0+15x240"},
        {f"omoi_relay_lag_seconds{{{PHASE}}}": "0.2x240"},
    ),
    "OmoiBrokerLostEvents": (
        {f"omoi_broker_refills_total{{{PHASE}}}": "0x238 1x2"},
        {f"omoi_broker_refills_total{{{PHASE}}}": "4x240"},
    ),
    "OmoiConsumerBehind": (
        {f"omoi_consumer_lag_events{{{REACTIONS}}}": "5000x240"},
        {f'omoi_consumer_lag_events{{{PHASE}, consumer="commands"}}': "5000x240"},
    ),
    "OmoiConsumerStalled": (
        {
            f'omoi_consumer_lag_events{{{REACTIONS}, pod="a"}}': "3x240",
            f'omoi_consumer_lag_events{{{REACTIONS}, pod="b"}}': "3x240",
            f'omoi_consumer_lag_seconds{{{REACTIONS}, pod="a"}}': "0.02x240",
        },
        {
            f'omoi_consumer_lag_events{{{REACTIONS}, pod="a"}}': "3x240",
            f'omoi_consumer_lag_seconds{{{REACTIONS}, pod="a"}}': "0.02x230 0.03x10",
        },
    ),
    "OmoiParked": ({f"omoi_parked{{{REACTIONS}}}": "1x240"}, {f"omoi_parked{{{REACTIONS}}}": QUIET}),
    "OmoiDeadLetters": (
        {f'omoi_dead_letters_total{{{PHASE}, consumer="commands"}}': "0x238 1x2"},
        {f'omoi_dead_letters_total{{{PHASE}, consumer="commands"}}': "7x240"},
    ),
    "OmoiGapsFilled": (
        {f"omoi_gaps_filled_total{{{REACTIONS}}}": GROWING},
        {f"omoi_gaps_filled_total{{{REACTIONS}}}": "0x200 500x40"},
    ),
    "OmoiActivityPutOff": (
        {f'omoi_activities_total{{{PHASE}, activity="review", outcome="put_off"}}': GROWING},
        {
            f'omoi_activities_total{{{PHASE}, activity="review", outcome="put_off"}}': GROWING,
            f'omoi_activities_total{{{PHASE}, activity="review", outcome="done"}}': GROWING,
        },
    ),
}
"""Alert -> series, a value every 15 seconds for an hour, of which it fires, and of which it does not."""


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_speaks_of_what_is_measured(alert: dict[str, Any]) -> None:
    assert list(metric_names.faults(alert["expr"])) == []


@pytest.mark.parametrize(
    "expression",
    [
        "omoi_redy == 0",
        'omoi_ready{consumer="a"} == 0',
        "sum by (consumer) (omoi_ready)",
        "omoi_commands > 1",
    ],
)
def test_a_metric_or_a_label_that_is_not_there_is_found(expression: str) -> None:
    assert list(metric_names.faults(expression))


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_has_a_runbook(alert: dict[str, Any]) -> None:
    guide = (ROOT / "docs/operations.md").read_text("utf-8")
    assert f"**{alert['alert']}**" in guide


def test_every_alert_has_its_case() -> None:
    assert list(CASES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_fires_when_it_should_and_only_then(name: str, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on this machine")
    firing, quiet = CASES[name]
    file = tmp_path / "alerts_test.json"
    file.write_bytes(orjson.dumps(_unit_tests(name, firing, quiet)))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _unit_tests(name: str, firing: dict[str, str], quiet: dict[str, str]) -> dict[str, Any]:
    """A file of promtool's, which is YAML and so may be JSON."""

    def case(series: dict[str, str], fires: int) -> dict[str, Any]:
        count = f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)'
        return {
            "interval": "15s",
            "input_series": [{"series": key, "values": values} for key, values in series.items()],
            "promql_expr_test": [
                {"expr": count, "eval_time": "1h", "exp_samples": [{"labels": "{}", "value": fires}]}
            ],
        }

    return {
        "rule_files": [str(RULES)],
        "evaluation_interval": "15s",
        "tests": [case(firing, 1), case(quiet, 0)],
    }
