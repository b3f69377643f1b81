"""Looks at rendered manifests.

usage: check_manifests.py json FILE...                     prints {file: [object, ...]}
       check_manifests.py schema VERSION,VERSION FILE...   prints what doesn't fit Kubernetes's own kinds, a line each

Objects of kinds that other projects define are passed over by `schema`.
"""

import json
import sys

import yaml

# The groups of Kubernetes's own kinds that the chart may use, besides the one without a name.
OWN_GROUPS = {"apps", "autoscaling", "batch", "networking.k8s.io", "policy"}


def objects(path):
    with open(path, encoding="utf-8") as file:
        return [document for document in yaml.safe_load_all(file) if document]


def is_own(document):
    group, slash, _ = document["apiVersion"].rpartition("/")
    return not slash or group in OWN_GROUPS


def check(document, version):
    import kubernetes_validate

    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = "/".join(map(str, error.path))
        print(f"{version}: {document['kind']} {document['metadata']['name']}: {where}: {error.message}")


def main(command, *arguments):
    if command == "json":
        json.dump({path: objects(path) for path in arguments}, sys.stdout)
        return
    versions, *paths = arguments
    for path in paths:
        for document in filter(is_own, objects(path)):
            for version in versions.split(","):
                check(document, version)


main(*sys.argv[1:])
