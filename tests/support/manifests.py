"""The Kubernetes manifests as data: every document, every pod template, every reference from one to another."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

FOLDER = Path(__file__).parents[2] / "deploy" / "kuberay"
BLANK = re.compile(r"<([a-z-]+)>")
FILLED = {
    "image": "registry.example/selfish:0.1.0",
    "bucket": "a-bucket",
    "role": "arn:aws:iam::123456789012:role/selfish",
}

Manifest = dict[str, Any]


class Reference(NamedTuple):
    """What a pod needs: an object, and where it needs one, a key in it."""

    kind: str
    name: str
    key: str | None = None


def read(text: str) -> list[Manifest]:
    filled = BLANK.sub(lambda match: FILLED[match[1]], text)
    return [document for document in YAML(typ="safe", pure=True).load_all(filled) if document]


def manifests() -> list[Manifest]:
    """Every document of the folder, its blanks filled in."""
    return [document for path in sorted(FOLDER.glob("*.yaml")) for document in read(path.read_text(encoding="utf-8"))]


def secrets() -> list[Manifest]:
    """What the script of the Secrets prints."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl (Debian: apt-get install openssl)")
    done = subprocess.run([FOLDER / "secrets.sh"], capture_output=True, text=True, timeout=60, check=True)
    return read(done.stdout)


def kinds(found: list[Manifest], *names: str) -> list[Manifest]:
    return [manifest for manifest in found if manifest["kind"] in names]


def ray_clusters() -> list[Manifest]:
    """The specs of the RayCluster and of the RayJob's."""
    found = manifests()
    own = [manifest["spec"] for manifest in kinds(found, "RayCluster")]
    return own + [manifest["spec"]["rayClusterSpec"] for manifest in kinds(found, "RayJob")]


def templates() -> Iterator[tuple[str, Manifest]]:
    """Every pod template, with a name that says whose it is."""
    for cluster in ray_clusters():
        yield "head", cluster["headGroupSpec"]["template"]
        yield from ((group["groupName"], group["template"]) for group in cluster["workerGroupSpecs"])
    for manifest in manifests():
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]
        if manifest["kind"] == "RayJob":
            yield "submitter", manifest["spec"]["submitterPodTemplate"]


def containers() -> Iterator[tuple[str, Manifest, Manifest]]:
    """Every container, with its pod's name and spec."""
    for name, template in templates():
        yield from ((name, template["spec"], container) for container in template["spec"]["containers"])


def references(pod: Manifest) -> Iterator[Reference]:
    """Everything that a pod needs before it starts."""
    if "serviceAccountName" in pod:
        yield Reference("ServiceAccount", pod["serviceAccountName"])
    for volume in pod.get("volumes", []):
        if "secret" in volume:
            keys = [item["key"] for item in volume["secret"].get("items", [])]
            yield from (Reference("Secret", volume["secret"]["secretName"], key) for key in keys or [None])
        if "configMap" in volume:
            yield Reference("ConfigMap", volume["configMap"]["name"])
    for container in pod["containers"]:
        for source in container.get("envFrom", []):
            kind = "ConfigMap" if "configMapRef" in source else "Secret"
            yield Reference(kind, next(iter(source.values()))["name"])
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                chosen = variable["valueFrom"]["secretKeyRef"]
                yield Reference("Secret", chosen["name"], chosen["key"])
