//! A node behind nginx: as nginx is before anybody has told it anything, with less and less of it in the way.

use std::{fs, path::Path, time::Duration};

use reelway_testkit::free_port;
use tempfile::TempDir;

use super::{expect, finding};
use crate::harness::{Cli, Node, Process, Tool, within_secs};

/// What somebody does who follows all advice of the doctor.
const ADVISED: &str =
    "client_max_body_size 0; proxy_request_buffering off; proxy_buffering off; proxy_http_version 1.1;";
/// The same without what lets bodies through as they come.
const HOLDS_BODIES: &str = "client_max_body_size 0; proxy_buffering off;";
/// As it comes.
const UNTOLD: &str = "";
/// Longer than the doctor waits for anything.
const DOCTOR_MAX: Duration = Duration::from_secs(120);

/// nginx before a node, with a port for each way to configure it. Dropping it ends it.
struct Nginx {
    _process: Process,
    ports: Vec<u16>,
    _dir: TempDir,
}

impl Nginx {
    async fn before(node: &Node, ways: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/lib/nginx.sh");
        let program = Tool::new("bash").path(&script).run().await;
        let dir = tempfile::tempdir().expect("a directory");
        let ports: Vec<u16> = ways.iter().map(|_| free_port()).collect();
        let servers = ways.iter().zip(&ports).map(|(way, port)| {
            let edge = node.http_url();
            format!("server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {edge}; {way} }} }}\n")
        });
        let held = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let held = held.map(|what| format!("{what}_temp_path {}/{what};\n", dir.path().display()));
        let config = format!(
            "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\nevents {{}}\nhttp {{ access_log off;\n{1}{2}}}\n",
            dir.path().display(),
            held.concat(),
            servers.collect::<String>()
        );
        let file = dir.path().join("nginx.conf");
        fs::write(&file, config).expect("a file");
        let mut command = tokio::process::Command::new(program.trim());
        command.arg("-c").arg(&file).arg("-e").arg(dir.path().join("error.log"));
        let process = Process::spawn(command);
        within_secs(20, "nginx", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", ports[0])).await.is_ok()
        })
        .await;
        Self {
            _process: process,
            ports,
            _dir: dir,
        }
    }

    fn url(&self, way: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[way])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_holds_back_is_named_with_what_to_write_there() {
    let node = Node::start().await;
    let nginx = Nginx::before(&node, &[UNTOLD, HOLDS_BODIES, ADVISED]).await;
    let cli = Cli::of(&node);
    let look = async |way: usize| {
        let url = nginx.url(way);
        let data = format!("data-{way}");
        let mut doctor = cli.start(["doctor", "--json", "--data", &data, "--edge-url", &url]);
        let ended = doctor.ended(DOCTOR_MAX).await;
        (ended.code, ended.json())
    };
    let ((untold, found), (bodies, held), (advised, fine)) = tokio::join!(look(0), look(1), look(2));

    assert_eq!(untold, Some(1));
    expect(&found, "proxy-uploads", "failed", "client_max_body_size 0");
    assert_eq!(bodies, Some(1));
    expect(&held, "proxy-uploads", "failed", "proxy_request_buffering off");
    expect(&held, "proxy-events", "ok", "");
    for check in ["edge", "proxy-uploads", "proxy-events"] {
        assert_eq!(finding(&fine, check)["verdict"], "ok", "{fine:#?}");
    }
    assert_eq!(advised, Some(0), "{fine:#?}");
    // Nothing is left of what was tried.
    let uploads = cli.json(["uploads", "list", "--json"]).await;
    assert!(
        uploads.iter().all(|upload| upload["state"] == "aborted"),
        "{uploads:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_is_away_or_no_edge_is_said_to_be_so() {
    let cli = Cli::at("http://127.0.0.1:1");
    let node = Node::start().await;
    for (url, advice) in [
        ("http://127.0.0.1:1".to_owned(), "is the edge running"),
        (node.admin_url(), "is that an edge?"),
    ] {
        let ended = cli
            .run(["doctor", "--json", "--data", "data", "--e2e", "--edge-url", &url])
            .await;
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        expect(&ended.json(), "edge", "failed", advice);
        expect(&ended.json(), "upload", "failed", advice);
    }
}
