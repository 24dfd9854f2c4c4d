"""Which metrics there are, with which labels, and which a PromQL expression uses."""

from collections.abc import Iterator, Mapping

import promql_parser
from prometheus_client import Counter, Histogram

from shared.kernel.metrics import Metrics

GATHERED = frozenset({"instance", "job", "namespace", "pod"})
"""Labels that Prometheus adds to all it gathers."""


def known() -> Mapping[str, frozenset[str]]:
    """Series name -> its labels."""
    found: dict[str, frozenset[str]] = {}
    for metric in vars(Metrics()).values():
        if not hasattr(metric, "_labelnames"):
            continue
        labels = frozenset(metric._labelnames) | GATHERED
        name = metric._name
        if isinstance(metric, Counter):
            found[f"{name}_total"] = labels
        elif isinstance(metric, Histogram):
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    return found


def faults(expression: str) -> Iterator[str]:
    """Names and labels of an expression that no service tells; raises ValueError on what is no PromQL."""
    series, labels = used(expression)
    for name in series.keys() - known().keys():
        yield f"there is no metric {name}"
    for name, matched in series.items():
        for label in matched - known().get(name, matched):
            yield f"{name} has no label {label}"
    everywhere = frozenset().union(*(known().get(name, frozenset()) for name in series))
    for label in labels - everywhere:
        yield f"none of {sorted(series)} has a label {label}"


def used(expression: str) -> tuple[dict[str, set[str]], set[str]]:
    """Series name -> labels it is matched by, and the labels that are aggregated by."""
    series: dict[str, set[str]] = {}
    grouped: set[str] = set()

    def look(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector) and node.name:
            series.setdefault(node.name, set()).update(one.name for one in node.matchers.matchers)
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            grouped.update(node.modifier.labels)
        return True

    promql_parser.walk(promql_parser.parse(expression), look)
    return series, grouped
