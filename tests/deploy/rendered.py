"""The overlays as kubectl renders them."""

import shutil
import subprocess
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from deploy.k8s.manifests import HERE

OVERLAYS = ("dev", "production")
Manifest = dict[str, Any]


def documents(text: str) -> list[Manifest]:
    """The documents of a YAML text."""
    return [document for document in YAML(typ="safe").load_all(StringIO(text)) if document]


def overlay(name: str) -> list[Manifest]:
    """What `kubectl apply -k` would send; skips the test on a machine without kubectl or kustomize."""
    kubectl, kustomize = shutil.which("kubectl"), shutil.which("kustomize")
    if kustomize:
        return rendered(kustomize, "build", HERE / "overlays" / name)
    if kubectl:
        return rendered(kubectl, "kustomize", HERE / "overlays" / name)
    pytest.skip("neither kubectl nor kustomize is on this machine")


@cache
def rendered(program: str, command: str, folder: Path) -> list[Manifest]:
    """The documents that a program makes of a folder."""
    done = subprocess.run([program, command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def by_kind(found: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Name -> manifest of one kind."""
    return {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def pods(found: list[Manifest]) -> dict[str, Manifest]:
    """Kind and name of whatever runs pods -> the pod's specification."""
    running = ("Deployment", "StatefulSet", "Job")
    return {
        f"{one['kind']}/{one['metadata']['name']}": one["spec"]["template"]["spec"]
        for one in found
        if one["kind"] in running
    }
