"""The dashboard shows metrics that there are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.deploy import metric_names

DASHBOARD = orjson.loads((Path(__file__).parents[2] / "deploy/grafana/omoios.json").read_bytes())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions(panel: dict[str, Any]) -> Iterator[str]:
    """The expressions of a panel, with Grafana's variables put in."""
    for target in panel["targets"]:
        yield target["expr"].replace("$__rate_interval", "1m").replace("$service", ".*")


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_a_panel_shows_what_is_measured(panel: dict[str, Any]) -> None:
    assert [fault for one in expressions(panel) for fault in metric_names.faults(one)] == []


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for panel in PANELS for one in expressions(panel) for name in metric_names.used(one)[0]}
    families = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in shown}
    every = {
        name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        for name in metric_names.known()
    }
    assert families == every


def test_panels_have_a_place_of_their_own() -> None:
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_variables_name_a_label_that_there_is() -> None:
    [query] = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    series, label = query.removeprefix("label_values(").removesuffix(")").split(", ")
    assert label in metric_names.known()[series]
