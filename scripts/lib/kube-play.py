"""Turns what the chart renders into files for `podman kube play`, for scripts/kube-play.

usage: kube-play.py SCRATCH SUBNET ROLE...       with the Python of scripts/lib/kube-tools.sh

Reads SCRATCH/rendered.yaml and SCRATCH/secrets, writes SCRATCH/pods and SCRATCH/volumes. What is changed is what podman 4.3 has no
notion of; all else, and above all what containers may do and what they are given, stays as it is rendered:

- a Deployment or a Job is one Pod of its template;
- names of Services stand in each pod's hosts file, because there is no DNS;
- volumes are directories, made as the kubelet would make them: empty, of a group that may write, or with the keys of secrets;
- probes are left out: podman would run curl inside for them. scripts/kube-play asks the admin ports itself;
- ports are left out: podman would open them on this machine.
"""

import os
import pathlib
import sys

import yaml

USER = 10001
LEFT_OUT = ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports")


def main(scratch, subnet, roles):
    documents = [document for document in yaml.safe_load_all((scratch / "rendered.yaml").read_text()) if document]
    settings = [document for document in documents if document["kind"] == "ConfigMap" and is_settings(document)]
    aliases = [
        {
            "ip": f"{subnet}.{10 + number}",
            "hostnames": [
                f"{service['metadata']['name']}.{service['metadata'].get('namespace', 'default')}.svc"
                for service in documents
                if service["kind"] == "Service" and component(service["spec"]["selector"]) == role
            ],
        }
        for number, role in enumerate(roles)
    ]
    (scratch / "pods").mkdir()
    written = set()
    for document in documents:
        if document["kind"] not in ("Deployment", "Job", "Pod"):
            continue
        name = component(document["metadata"]["labels"])
        spec = document["spec"] if document["kind"] == "Pod" else document["spec"]["template"]["spec"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"kube-play-{name}", "labels": document["metadata"]["labels"]},
            "spec": changed(spec, name, aliases, scratch),
        }
        (scratch / "pods" / f"{name}.yaml").write_text(yaml.safe_dump_all([*settings, pod]))
        written.add(name)
    missing = {"migrate", "test", *roles} - written
    if missing:
        sys.exit(f"the chart renders no pod for {', '.join(sorted(missing))}")


def component(labels):
    return labels["app.kubernetes.io/component"]


def is_settings(document):
    return document["metadata"]["name"].endswith("-settings")


def changed(spec, name, aliases, scratch):
    spec = dict(spec, hostAliases=aliases)
    for container in spec["containers"]:
        for field in LEFT_OUT:
            container.pop(field, None)
    spec["volumes"] = [
        {"name": volume["name"], "hostPath": {"path": str(directory(volume, name, scratch)), "type": "Directory"}}
        for volume in spec.get("volumes", [])
    ]
    return spec


def directory(volume, pod, scratch):
    """Makes what the kubelet would mount."""
    claim = volume.get("persistentVolumeClaim")
    of = f"claim-{claim['claimName']}" if claim else pod
    path = scratch / "volumes" / of / volume["name"]
    path.mkdir(parents=True, exist_ok=True)
    for source in volume.get("projected", {}).get("sources", []):
        for item in source["secret"]["items"]:
            value = scratch / "secrets" / item["key"]
            # A key that is made later.
            (path / item["path"]).write_text(value.read_text() if value.exists() else "")
            os.chown(path / item["path"], USER, USER)
    os.chown(path, USER, USER)
    return path


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
