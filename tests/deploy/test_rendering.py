"""Each overlay renders, is valid Kubernetes, and runs under the strictest pod security."""

import re
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
from ruamel.yaml import YAML

from omoi.services import service_names
from tests.deploy.rendered import OVERLAYS, Manifest, by_kind, overlay, pods

KUBERNETES = "1.33"
CUSTOM: dict[str, Any] = YAML(typ="safe").load(
    Path(__file__).with_name("custom_resources.yaml").read_text("utf-8")
)


def faults(manifest: Manifest) -> str | None:
    """What is wrong with a manifest."""
    schema = CUSTOM.get(manifest["kind"])
    try:
        if schema:
            jsonschema.validate(manifest["spec"], {**schema, "$defs": CUSTOM["$defs"]})
        else:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        return f"{manifest['kind']} {manifest['metadata']['name']}: {error.message} at {list(error.path)}"
    return None


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_valid(name: str) -> None:
    found = overlay(name)
    assert [fault for fault in map(faults, found) if fault] == []
    assert {one["metadata"].get("namespace", "omoios") for one in found} == {"omoios"}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", ("spec", "template", "spec", "containers", 0, "readinessprobe")),
        ("NetworkPolicy", ("spec", "egres")),
        ("ScaledObject", ("spec", "triggers", 0, "metadata", "consumers")),
        ("Cluster", ("spec", "managed", "users")),
    ],
)
def test_a_misspelt_field_is_found(kind: str, path: tuple[str | int, ...]) -> None:
    manifest = deepcopy(next(one for one in overlay("production") if one["kind"] == kind))
    inner: Any = manifest
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = {}
    assert faults(manifest)


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_runs_without_rights(name: str) -> None:
    for pod, spec in pods(overlay(name)).items():
        assert spec["automountServiceAccountToken"] is False, pod
        assert spec["securityContext"]["runAsNonRoot"] is True, pod
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, pod
            assert container["resources"]["limits"]["memory"], pod
            assert container["resources"]["requests"]["cpu"], pod


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_service_is_there_with_a_version_and_its_settings(name: str) -> None:
    found = overlay(name)
    deployments = by_kind(found, "Deployment")
    assert set(deployments) == set(service_names())
    settings = by_kind(found, "ConfigMap")
    for deployment in deployments.values():
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert not container["image"].endswith(":latest")
        assert ":" in container["image"]
        [named] = [one["configMapRef"]["name"] for one in container["envFrom"] if "configMapRef" in one]
        assert settings[named]["data"]["OMOI_HTTP_PORT"] == "8080"
        assert "replicas" not in deployment["spec"], "the autoscaler and an apply would fight over it"


def test_production_keeps_three_copies_on_three_brokers() -> None:
    found = overlay("production")
    [settings] = [
        one for name, one in by_kind(found, "ConfigMap").items() if name.startswith("omoi-settings")
    ]
    nats = by_kind(found, "StatefulSet")["nats"]["spec"]
    assert settings["data"]["OMOI_REPLICAS"] == "3"
    assert nats["replicas"] == 3
    [spread] = nats["template"]["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert by_kind(found, "Cluster")["postgres"]["spec"]["instances"] == 3


@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_secret_is_in_the_tree_and_what_is_asked_for_is_documented(name: str) -> None:
    found = overlay(name)
    assert not by_kind(found, "Secret")
    guide = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    asked = set(chain.from_iterable(map(_secrets, pods(found).values())))
    missing = {secret for secret in asked if secret not in guide and secret[5:] not in service_names()}
    assert not missing


def test_an_upgrade_makes_the_roles_that_the_migration_needs_and_nothing_else() -> None:
    guide = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    [selected] = re.findall(r"--selector 'app\.kubernetes\.io/component in \((.+)\)'", guide)
    found = {
        (one["kind"], one["metadata"]["name"])
        for one in overlay("production")
        if one["metadata"].get("labels", {}).get("app.kubernetes.io/component") in selected.split(", ")
    }
    assert found == {("Cluster", "postgres"), ("Job", "migrate")}


def _secrets(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_secrets, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(_secrets, value.values()))
    for reference in ("secretKeyRef", "secretRef", "secret"):
        if reference in value:
            found.add(value[reference].get("name") or value[reference]["secretName"])
    return found


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_may_talk_to_somebody_and_nobody_to_all(name: str) -> None:
    policies = by_kind(overlay(name), "NetworkPolicy")
    assert policies["nothing"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    named = {pod.partition("/")[2] for pod in pods(overlay(name))}
    assert named <= set(policies)


def test_metrics_are_gathered_under_their_own_service_names() -> None:
    found = overlay("production")
    [endpoint] = by_kind(found, "ServiceMonitor")["services"]["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True
    labels = by_kind(found, "ServiceMonitor")["services"]["spec"]["selector"]["matchLabels"]
    services = [
        one
        for one in found
        if one["kind"] == "Service" and labels.items() <= one["metadata"].get("labels", {}).items()
    ]
    assert {one["metadata"]["name"] for one in services} == set(service_names())
    assert all(endpoint["port"] in {port["name"] for port in one["spec"]["ports"]} for one in services)
