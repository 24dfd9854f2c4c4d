"""The Secret of each service: its role's password in the database, and its two URLs."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from deploy.k8s.workload import Workload
from omoi.credentials import Credentials

NAMESPACE = "omoios"
NATS = "nats:4222"
DATABASE = "postgres-rw:5432/omoi"


def secrets(workloads: Sequence[Workload], credentials: Credentials) -> Iterator[dict[str, Any]]:
    """A Secret for each service; raises `CredentialsProblem` where the credentials lack one.

    Its type is the one in which CloudNativePG expects the password of a role.
    """
    for workload in workloads:
        yield {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": f"omoi-{workload.name}",
                "namespace": NAMESPACE,
                "labels": {"app.kubernetes.io/part-of": "omoios", "cnpg.io/reload": "true"},
            },
            "type": "kubernetes.io/basic-auth",
            "stringData": {
                "username": workload.role,
                "password": credentials.of_services([workload.name])[workload.name],
                "database-url": credentials.database_url(DATABASE, workload.name),
                "nats-url": credentials.nats_url(NATS, workload.name),
            },
        }


def as_yaml(documents: Iterator[dict[str, Any]]) -> str:
    """Documents for `kubectl apply`; JSON is YAML, too."""
    return "".join(f"---\n{json.dumps(document, indent=2)}\n" for document in documents)
