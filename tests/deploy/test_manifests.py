"""The manifests are those of the services that there are, and say what each needs and no more."""

from itertools import chain
from typing import Any

import pytest

from deploy.k8s.manifests import HERE, manifests
from deploy.k8s.workload import Workload, reaches_out, scaling, workloads
from omoi.services import all_services, service_names
from shared.kernel.database import POOL_MAX, role_of
from shared.kernel.durables import durables_of
from shared.kernel.runtime import DRAIN_SECONDS
from shared.testing.world import World, until
from tests.deploy.rendered import Manifest, by_kind, documents
from tests.kernel import book, ear, till

NAMES = service_names()
OF_EACH = ("ServiceAccount", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy")


def made(path: str) -> list[Manifest]:
    """The documents of a committed file."""
    return documents((HERE / path).read_text("utf-8"))


def test_what_is_committed_follows_from_the_services() -> None:
    stale = [str(path) for path, text in manifests(workloads()) if (HERE / path).read_text("utf-8") != text]
    assert not stale, f"run `make manifests`: {stale}"
    expected = {HERE / path for path, _ in manifests(workloads())}
    assert set((HERE / "base/services").iterdir()) <= expected, "run `make manifests`"


def test_a_service_more_is_seen() -> None:
    more = Workload("door", "omoi_door", {}, reaches_out=False)
    changed = {
        str(path)
        for path, text in manifests([*workloads(), more])
        if not (HERE / path).exists() or (HERE / path).read_text("utf-8") != text
    }
    assert changed >= {
        "base/services/door.yaml",
        "images/kustomization.yaml",
        "overlays/production/database.yaml",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_service_has_one_of_each(name: str) -> None:
    found = made(f"base/services/{name}.yaml")
    assert [(one["kind"], one["metadata"]["name"]) for one in found] == [(kind, name) for kind in OF_EACH]
    [container] = by_kind(found, "Deployment")[name]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"omoios/{name}"
    assert {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container["env"]} == {
        "OMOI_DATABASE_URL": {"name": f"omoi-{name}", "key": "database-url"},
        "OMOI_NATS_URL": {"name": f"omoi-{name}", "key": "nats-url"},
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_pod_has_the_time_that_the_service_takes_to_stop(name: str) -> None:
    [deployment] = by_kind(made(f"base/services/{name}.yaml"), "Deployment").values()
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 2 * DRAIN_SECONDS + 10


def destinations(policy: Manifest) -> set[str]:
    """Where a policy lets traffic go."""
    peers = chain.from_iterable(rule["to"] for rule in policy["spec"]["egress"])
    return {_named(peer) for peer in peers}


def _named(peer: dict[str, Any]) -> str:
    if "ipBlock" in peer:
        return "outside"
    return "/".join(peer["podSelector"]["matchLabels"])


@pytest.mark.parametrize("name", NAMES)
def test_a_service_reaches_its_servers_and_the_outside_only_with_a_model(name: str) -> None:
    [policy] = by_kind(made(f"base/services/{name}.yaml"), "NetworkPolicy").values()
    inside = {"k8s-app", "app.kubernetes.io/name", "omoios.dev/database"}
    assert destinations(policy) == inside | ({"outside"} if reaches_out(name) else set())
    [ingress] = policy["spec"]["ingress"]
    assert [set(peer) for peer in ingress["from"]] == [{"namespaceSelector"}]
    assert ingress["ports"] == [{"port": 8080}]


def test_whoever_asks_a_model_reaches_out() -> None:
    assert [name for name in ("context", "gates", "memory", "phase", "registry") if reaches_out(name)] == [
        "context",
        "gates",
        "memory",
    ]


def test_every_service_has_a_role_and_all_of_them_their_connections() -> None:
    [cluster] = made("overlays/production/database.yaml")
    roles = {role["name"]: role for role in cluster["spec"]["managed"]["roles"]}
    assert set(roles) == {role_of(name) for name in NAMES} | {"omoi_migrate"}
    assert all(roles[role_of(name)]["passwordSecret"] == {"name": f"omoi-{name}"} for name in NAMES)
    assert set(roles["omoi_migrate"]["inRoles"]) == {role_of(name) for name in NAMES}
    most = sum(one["spec"]["maxReplicaCount"] for one in made("overlays/production/scaling.yaml"))
    assert (
        int(cluster["spec"]["postgresql"]["parameters"]["max_connections"]) > (most + len(NAMES)) * POOL_MAX
    )


def test_every_service_is_scaled_by_what_it_reads() -> None:
    scaled = {one["metadata"]["name"]: one["spec"] for one in made("overlays/production/scaling.yaml")}
    assert set(scaled) == set(NAMES)
    for name, service in all_services().items():
        consumers = {trigger["metadata"]["consumer"] for trigger in scaled[name]["triggers"]}
        assert (name in consumers) == bool(service.obeys)
        assert (f"{name}-reactions" in consumers) == bool(service.hears)
        assert (f"{name}-journal" in consumers) == bool(service.read_models)


async def test_the_consumers_that_scale_are_those_of_a_running_service(a_world: World) -> None:
    services = (till.till, ear.ear, book.book)
    await a_world.install(till.till, tables=[till.metadata])
    await a_world.install(ear.ear, book.book)

    async def there() -> set[str]:
        js = a_world.client.jetstream()
        return {one.name for stream in ("COMMANDS", "EVENTS") for one in await js.consumers_info(stream)}

    async def all_there() -> bool:
        return await there() == {durable.name for one in services for durable in durables_of(one).values()}

    async with a_world.running(*services):
        await until(all_there, 30)
        assert await there() >= {durable.name for one in services for durable in scaling(one).values()}
