//! Who may reach whom.

use serde_json::Value;

use super::{items, rendered, rendered::Rendered, text};

/// Where a node gives its credentials away.
const METADATA: &str = "169.254.169.254/32";

/// The policy of a component.
fn policy<'a>(of: &'a Rendered, component: &str) -> &'a Value {
    of.kind("NetworkPolicy")
        .find(|object| object["metadata"]["labels"]["app.kubernetes.io/component"] == component)
        .expect(component)
}

/// The ports that a component may reach, ascending.
fn ports_out(of: &Rendered, component: &str) -> Vec<u64> {
    let rules = items(&policy(of, component)["spec"]["egress"]);
    let mut ports: Vec<u64> = rules
        .flat_map(|rule| items(&rule["ports"]))
        .map(|port| port["port"].as_u64().expect("a number"))
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_reaches_the_database_redis_and_the_store_only() {
    let all = rendered().await;
    assert_eq!(ports_out(&all["minimal"], "worker"), [53, 443, 5432, 6379]);
    assert_eq!(ports_out(&all["ingress"], "worker"), [53, 5432, 6379], "no bucket");
    // 9443: a second bucket for outputs.
    let full = [53, 4317, 5432, 6379, 6432, 9000, 9443];
    assert_eq!(ports_out(&all["full"], "worker"), full);
    assert_eq!(ports_out(&all["minimal"], "migrate"), [53, 5432]);
    for name in ["minimal", "full"] {
        let ingress = &policy(&all[name], "worker")["spec"]["ingress"];
        assert_eq!(items(ingress).count(), 1);
        assert_eq!(ingress[0]["ports"][0]["port"], "admin");
    }
    // Webhooks are the jobs servers' alone.
    assert!(ports_out(&all["full"], "jobs").contains(&443));
    assert!(!ports_out(&all["full"], "worker").contains(&443));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_a_node_for_its_credentials() {
    for (name, of) in rendered().await {
        for object in of.kind("NetworkPolicy") {
            assert_eq!(object["spec"]["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
            for peer in items(&object["spec"]["egress"]).flat_map(|rule| items(&rule["to"])) {
                let block = &peer["ipBlock"];
                let is_all = block["cidr"] == "0.0.0.0/0";
                let is_excepted = items(&block["except"]).any(|network| text(network) == METADATA);
                assert!(!is_all || is_excepted, "{name}: {peer}");
            }
        }
        let covered = of.kind("NetworkPolicy").count();
        let mut pods: Vec<String> = of.pods().map(|pod| pod.component().to_owned()).collect();
        pods.sort_unstable();
        pods.dedup();
        assert!(covered >= pods.len(), "{name}: {pods:?} have {covered} policies");
    }
}
