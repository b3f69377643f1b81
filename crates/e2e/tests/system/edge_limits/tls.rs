//! TLS of a running node: with certificates that this test makes, and exchanges.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use reelway::v1::ListUploadsRequest;
use reelway_client::{Client, Endpoints, Trust};
use tempfile::TempDir;

use crate::harness::{Ended, Node, Process, Role, Setup, Shape, System, within_secs};

/// An authority, with the files that it makes.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Certificates of the same name would be taken for their own authority.
        params
            .distinguished_name
            .push(DnType::CommonName, "the authority of a test");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { issuer, dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("a plain path").to_owned()
    }

    fn pem(&self, name: &str) -> Vec<u8> {
        fs::read(PathBuf::from(self.path(name))).expect("a file")
    }

    /// Makes `NAME.pem` and `NAME-key.pem` for this host.
    fn certify(&self, name: &str, host: &str) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).expect("a file");
        fs::write(self.path(&format!("{name}-key.pem")), key.serialize_pem()).expect("a file");
    }

    /// Options of a node with the certificate `server`.
    fn options(&self) -> Vec<String> {
        let (certificate, key) = (self.path("server.pem"), self.path("server-key.pem"));
        ["--tls-cert", &certificate, "--tls-key", &key]
            .map(str::to_owned)
            .to_vec()
    }

    /// What curl says to a node, which it believes to be this host.
    async fn curl(&self, node: &Node, host: &str, more: &[&str]) -> Ended {
        let port = node.http_url().rsplit_once(':').expect("a port").1.to_owned();
        let (url, place) = (
            format!("https://{host}:{port}/v1/uploads"),
            format!("{host}:{port}:127.0.0.1"),
        );
        let mut curl = tokio::process::Command::new("curl");
        curl.args([
            "-sS",
            "-w",
            "%{http_version} %{http_code}\n",
            "-o",
            "/dev/null",
            "--resolve",
            &place,
        ]);
        curl.args(["--cacert", &self.path("ca.pem")]).args(more).arg(url);
        Process::spawn(curl).ended(std::time::Duration::from_secs(30)).await
    }
}

async fn lists_uploads(node: &Node, trust: Trust) -> bool {
    let endpoints = Endpoints::single(&node.grpc_url().replace("http://127.0.0.1", "https://localhost"));
    let client = Client::connect_trusting(&endpoints, &trust).expect("an address");
    let policy = reelway_client::RetryPolicy {
        retries_max: 0,
        ..reelway_client::RetryPolicy::default()
    };
    client
        .with_policy(policy)
        .list_uploads(ListUploadsRequest::default())
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_grpc_are_within_tls_and_certificates_are_exchanged() {
    let authority = Authority::new();
    authority.certify("server", "localhost");
    let options = authority.options();
    let node = Node::with(&options.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (version, told) in [("--http2", "2 200"), ("--http1.1", "1.1 200")] {
        let said = authority.curl(&node, "localhost", &[version]).await;
        assert_eq!(said.out, [told], "{said:#?}");
    }
    assert!(lists_uploads(&node, Trust::default().authorities(authority.pem("ca.pem"))).await);
    assert!(!lists_uploads(&node, Trust::default().authorities(Authority::new().pem("ca.pem"))).await);
    assert_ne!(
        authority.curl(&node, "other.example", &[]).await.code,
        Some(0),
        "it is not its name"
    );

    authority.certify("server", "other.example");
    within_secs(30, "the new certificate", async || {
        authority.curl(&node, "other.example", &[]).await.code == Some(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_certificate_is_sent_away_if_clients_need_one() {
    let authority = Authority::new();
    authority.certify("server", "localhost");
    authority.certify("client", "client.example");
    let mut options = authority.options();
    options.extend(["--tls-client-ca".to_owned(), authority.path("ca.pem")]);
    let node = Node::with(&options.iter().map(String::as_str).collect::<Vec<_>>()).await;

    assert_ne!(authority.curl(&node, "localhost", &[]).await.code, Some(0));
    let (certificate, key) = (authority.path("client.pem"), authority.path("client-key.pem"));
    let shown = ["--cert", &certificate, "--key", &key];
    assert_eq!(authority.curl(&node, "localhost", &shown).await.out, ["2 200"]);

    let trust = Trust::default().authorities(authority.pem("ca.pem"));
    assert!(!lists_uploads(&node, trust.clone()).await);
    assert!(
        lists_uploads(
            &node,
            trust.identity(authority.pem("client.pem"), authority.pem("client-key.pem"))
        )
        .await
    );
}

/// Creates an upload through an edge; what curl says of it.
async fn creates_an_upload(edge_url: &str) -> String {
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["-sS", "-w", "%{http_code}\n", "-o", "/dev/null", "-X", "POST"]);
    curl.args([
        "-H",
        "Tus-Resumable: 1.0.0",
        "-H",
        "Upload-Length: 5",
        "-H",
        "Content-Length: 0",
    ]);
    curl.arg(format!("{edge_url}/files/"));
    let said = Process::spawn(curl).ended(std::time::Duration::from_secs(30)).await;
    said.out.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_reaches_servers_of_other_processes_within_tls() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.certify("server", "localhost");
    let alone = Shape {
        upload: 0,
        jobs: 0,
        progress: 0,
        worker: 0,
        ..Shape::default()
    };
    let mut system = System::split(alone).await;
    for role in [Role::Upload, Role::Jobs, Role::Progress] {
        let mut setup = Setup::of(role);
        setup.options.extend(authority.options());
        system.join(setup).await;
    }
    let urls: Vec<String> = system.servers()[1..]
        .iter()
        .map(|server| server.grpc_url().replace("http://127.0.0.1", "https://localhost"))
        .collect();
    for trusted in [&authority, &stranger] {
        let mut edge = Setup::of(Role::Edge).option("--upstream-ca", trusted.path("ca.pem"));
        for (option, url) in ["--upload-url", "--jobs-url", "--progress-url"].into_iter().zip(&urls) {
            edge = edge.option(option, url);
        }
        system.join(edge).await;
    }
    let [.., trusting, doubting] = system.servers() else {
        panic!("two more edges")
    };
    assert_eq!(creates_an_upload(&trusting.http_url()).await, "201");
    assert_eq!(creates_an_upload(&doubting.http_url()).await, "503");
}
