"""The manifests: what Kubernetes' and KubeRay's schemas say of them, and whether they fit together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support import manifests
from support.manifests import FILLED, FOLDER, Manifest, Reference

ROOT = Path(__file__).parents[2]
RAY_SCHEMA = json.loads((Path(__file__).parent / "schemas" / "kuberay-1.6.2.json").read_text(encoding="utf-8"))
KUBERNETES = "1.33"


def check_core(manifest: Manifest) -> None:
    """Check a manifest against Kubernetes' own schema; unknown fields are errors."""
    validator = pytest.importorskip("kubernetes_validate", reason="no kubernetes-validate: pip install -e '.[dev]'")
    validator.validate(manifest, KUBERNETES, strict=True)


def as_pod_template(template: Manifest) -> Manifest:
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "any"}, "template": template}


def named(found: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in found}


def test_kubernetes_takes_every_manifest_of_its_own_kinds() -> None:
    own = [one for one in [*manifests.manifests(), *manifests.secrets()] if not one["apiVersion"].startswith("ray.io")]
    assert len(own) > 10
    for manifest in own:
        check_core(manifest)


def test_kubernetes_takes_every_pod_template() -> None:
    for _, template in manifests.templates():
        check_core(as_pod_template(template))


def test_a_misspelt_field_of_a_pod_is_refused() -> None:
    _, template = next(manifests.templates())
    template["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(Exception, match="terminationGracePeriod"):
        check_core(as_pod_template(template))


def test_kuberay_takes_the_cluster_and_the_job() -> None:
    ours = manifests.kinds(manifests.manifests(), "RayCluster", "RayJob")
    assert len(ours) == 2
    for manifest in ours:
        jsonschema.validate(manifest, RAY_SCHEMA)
    jsonschema.Draft202012Validator.check_schema(RAY_SCHEMA)


def test_a_misspelt_field_of_a_ray_cluster_is_refused() -> None:
    (cluster,) = manifests.kinds(manifests.manifests(), "RayCluster")
    cluster["spec"]["authOption"] = cluster["spec"].pop("authOptions")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(cluster, RAY_SCHEMA)


def test_the_jobs_cluster_is_the_cluster_that_stays() -> None:
    first, second = manifests.ray_clusters()
    assert first == second


def test_everything_that_a_pod_needs_is_there() -> None:
    there = named([*manifests.manifests(), *manifests.secrets()])
    wanted = {
        reference for _, template in manifests.templates() for reference in manifests.references(template["spec"])
    }
    wanted |= {
        Reference("Secret", spec["authOptions"]["secretName"], "auth_token") for spec in manifests.ray_clusters()
    }
    assert len(wanted) > 8
    for kind, name, key in wanted:
        held: dict[str, Any] = there[kind, name]
        assert key is None or key in {**held.get("data", {}), **held.get("stringData", {})}, (name, key)


def test_every_volume_that_is_mounted_is_declared() -> None:
    claims = {
        claim["metadata"]["name"]
        for manifest in manifests.kinds(manifests.manifests(), "StatefulSet")
        for claim in manifest["spec"]["volumeClaimTemplates"]
    }
    for _, pod, container in manifests.containers():
        declared = claims | {volume["name"] for volume in pod.get("volumes", [])}
        assert {mount["name"] for mount in container.get("volumeMounts", [])} <= declared


def test_every_service_leads_to_a_named_port_of_a_pod() -> None:
    for service in manifests.kinds(manifests.manifests(), "Service"):
        labels = service["spec"]["selector"].items()
        chosen = [
            one for _, one in manifests.templates() if labels <= one.get("metadata", {}).get("labels", {}).items()
        ]
        assert len(chosen) == 1, service["metadata"]["name"]
        ports = {port["name"]: port["containerPort"] for port in chosen[0]["spec"]["containers"][0]["ports"]}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]


def test_policies_open_ports_that_pods_listen_on() -> None:
    listened = {port["containerPort"] for _, _, one in manifests.containers() for port in one.get("ports", [])}
    opened = {
        port["port"]
        for policy in manifests.kinds(manifests.manifests(), "NetworkPolicy")
        for rule in policy["spec"].get("ingress", [])
        for port in rule.get("ports", [])
    }
    assert opened == {5000, 5432, 8265}
    assert opened <= listened


def test_nothing_comes_in_by_default() -> None:
    policies = named(manifests.kinds(manifests.manifests(), "NetworkPolicy"))
    closed = policies["NetworkPolicy", "nothing-comes-in"]["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress"]}


def test_the_settings_lead_to_the_services() -> None:
    there = named(manifests.manifests())
    settings = there["ConfigMap", "selfish-settings"]["data"]
    assert ("Service", "mlflow") in there
    assert settings["SELFISH_TRACKING_URI"] == "https://mlflow:5000"
    (mlflow,) = [one for name, _, one in manifests.containers() if name == "mlflow"]
    values = {variable["name"]: variable.get("value") for variable in mlflow["env"]}
    assert "mlflow:5000" in values["MLFLOW_ALLOWED_HOSTS"].split(",")
    assert ("Service", values["PGHOST"]) in there
    script = (ROOT / "deploy" / "mlflow" / "serve").read_text(encoding="utf-8")
    assert set(re.findall(r'"\$\{(\w+):\?\}"', script)) <= set(values)


def test_every_image_is_pinned() -> None:
    images = [container["image"] for _, _, container in manifests.containers()]
    for image in images:
        assert re.fullmatch(r"[\w./-]+:\d[\w.-]*", image), image
    assert {image for image in images if image != FILLED["image"]} == {"postgres:17.6-bookworm"}


def test_rays_version_is_the_pinned_one() -> None:
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned
    assert {cluster["rayVersion"] for cluster in manifests.ray_clusters()} == {pinned[1]}


def test_no_container_runs_as_root_or_may_become_it() -> None:
    for name, pod, container in manifests.containers():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name


def test_only_the_pod_that_starts_others_holds_kubernetes_credentials() -> None:
    for name, template in manifests.templates():
        assert template["spec"].get("automountServiceAccountToken", True) is (name == "head"), name


def test_workers_ask_for_a_gpu_of_a_spot_node() -> None:
    for cluster in manifests.ray_clusters():
        (group,) = cluster["workerGroupSpecs"]
        pod, head = group["template"]["spec"], cluster["headGroupSpec"]["template"]["spec"]
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert {one["key"] for one in pod["tolerations"]} == {"nvidia.com/gpu", "selfish/spot"}
        assert pod["nodeSelector"]
        assert "nvidia.com/gpu" not in head["containers"][0]["resources"]["limits"]


def test_no_file_holds_a_secret() -> None:
    assert manifests.kinds(manifests.manifests(), "Secret") == []
    assert [path.name for path in FOLDER.iterdir() if path.suffix not in (".yaml", ".sh")] == []


def test_secrets_are_new_each_time() -> None:
    first, second = named(manifests.secrets()), named(manifests.secrets())
    for name in ("selfish-ray-token", "selfish-postgres", "selfish-mlflow"):
        assert first["Secret", name]["stringData"] != second["Secret", name]["stringData"]


def test_the_spec_of_the_job_is_one_that_selfish_takes() -> None:
    from sweeps import expand, spec

    there = named(manifests.manifests())
    text = there["ConfigMap", "selfish-sweep"]["data"]["sweep.yaml"]
    parsed = spec.parse(text.encode(), Path("sweep.yaml"))
    assert len(expand.expand(parsed)) == 6
