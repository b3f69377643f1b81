"""Prints docker-compose.yml as docker-compose 1.29 understands it, as JSON, with the `profiles` that `up` takes by default.

usage: resolve_compose.py DIRECTORY
"""

import json
import sys

import yaml
from compose.config import config, serialize
from compose.config.environment import Environment


def main(directory):
    environment = Environment.from_env_file(directory)
    # Loading holds the file against the schema of that release, and looks whether what it refers to is there.
    loaded = config.load(config.find(directory, None, environment))
    understood = yaml.safe_load(serialize.serialize_config(loaded))
    understood["profiles"] = environment.get("COMPOSE_PROFILES", "").split(",")
    json.dump(understood, sys.stdout)


main(sys.argv[1])
