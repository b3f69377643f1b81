use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};

use super::*;

/// An authority that makes certificates into a directory.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Writes a certificate for this name, and gives its files.
    fn certify(&self, name: &str) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = TlsFiles {
            certificate: self.dir.path().join("server.pem"),
            key: self.dir.path().join("server-key.pem"),
            client_ca: None,
        };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    fn write(&self) -> PathBuf {
        let path = self.dir.path().join("ca.pem");
        fs::write(&path, self.issuer.pem()).unwrap();
        path
    }

    /// Shakes hands with a server that the client believes to be `localhost`, and reads what it says.
    async fn read_from(&self, tls: &ServerTls) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let tls = tls.clone();
        tokio::spawn(async move {
            let mut stream = tls.accept(server).await?;
            stream.write_all(b"hello").await?;
            stream.shutdown().await
        });
        let name = "localhost".try_into().unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, client).await?;
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await?;
        Ok(heard)
    }
}

#[tokio::test]
async fn a_certificate_is_exchanged_while_the_server_runs() {
    let authority = Authority::new();
    let files = authority.certify("elsewhere.example");
    let tls = ServerTls::open(files).unwrap();
    authority.read_from(&tls).await.unwrap_err();
    assert!(!tls.reload().unwrap(), "nothing is new");

    authority.certify("localhost");
    assert!(tls.reload().unwrap());
    assert_eq!(authority.read_from(&tls).await.unwrap(), "hello");

    // What can't be used changes nothing.
    fs::write(&tls.files.certificate, "junk").unwrap();
    tls.reload().unwrap_err();
    assert_eq!(authority.read_from(&tls).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_sent_away_if_one_is_asked_for() {
    let authority = Authority::new();
    let mut files = authority.certify("localhost");
    files.client_ca = Some(authority.write());
    let tls = ServerTls::open(files).unwrap();
    authority.read_from(&tls).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn who_does_not_shake_hands_is_cut_off() {
    let authority = Authority::new();
    let tls = ServerTls::open(authority.certify("localhost")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let error = tls.accept(server).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = authority.certify("localhost");
    let missing = TlsFiles {
        key: "/nowhere".into(),
        ..files.clone()
    };
    let error = ServerTls::open(missing).unwrap_err().to_string();
    assert!(error.starts_with("read /nowhere"), "{error}");
    let no_key = TlsFiles {
        key: files.certificate.clone(),
        ..files.clone()
    };
    assert!(matches!(ServerTls::open(no_key), Err(TlsError::Pem { path, .. }) if path == files.certificate));
    let foreign = TlsFiles {
        key: other.certify("localhost").key,
        ..files.clone()
    };
    assert!(matches!(ServerTls::open(foreign), Err(TlsError::Pair(_))));
    let no_authority = TlsFiles {
        client_ca: Some(files.key.clone()),
        ..files
    };
    assert!(matches!(ServerTls::open(no_authority), Err(TlsError::Pem { .. })));
}
