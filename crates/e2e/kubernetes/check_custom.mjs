// Holds objects of kinds that other projects define against their definitions, and prints what is wrong, a line each.
//
//   node check_custom.mjs PACKAGES_DIR OBJECTS_JSON
//
// The validators let unknown fields pass, as the servers do. Here a field that the validator never looked at is unknown.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const PACKAGES = {
  "cert-manager.io": "cert-manager",
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};

// The same object, which remembers the paths of what was read in it.
function watched(value, seen, path = "") {
  if (typeof value !== "object" || value === null) return value;
  return new Proxy(value, {
    get(target, name) {
      const at = `${path}/${String(name)}`;
      seen.add(at);
      return typeof name === "string" && Object.hasOwn(target, name) ? watched(target[name], seen, at) : target[name];
    },
  });
}

// The outermost fields that nobody read.
function unread(value, seen, path = "") {
  if (typeof value !== "object" || value === null) return [];
  return Object.keys(value).flatMap((name) => {
    const at = `${path}/${name}`;
    return seen.has(at) ? unread(value[name], seen, at) : [at];
  });
}

async function problems(packages, object) {
  const [group, version] = object.apiVersion.split("/");
  if (!(group in PACKAGES)) return [`nobody defines ${object.apiVersion}`];
  const at = join(packages, "node_modules/@kubernetes-models", PACKAGES[group], group, version, `${object.kind}.js`);
  const { [object.kind]: Kind } = await import(pathToFileURL(at));
  const seen = new Set();
  const wrong = [];
  try {
    Kind.prototype.validate.call(watched(object, seen));
  } catch (error) {
    wrong.push(error.message);
  }
  return [...wrong, ...unread(object, seen).map((field) => `unknown field ${field}`)];
}

const [packages, file] = process.argv.slice(2);
for (const object of JSON.parse(readFileSync(file, "utf8"))) {
  for (const problem of await problems(packages, object)) {
    console.log(`${object.kind} ${object.metadata.name}: ${problem}`);
  }
}
