//! `reelway health`: asks a node's admin port, for containers that have no other program to do it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{args::HealthArgs, error::CliError, exit::Exit, output::Output};

/// A node that needs longer is not well.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// More of an answer is not read.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

/// Prints the answer.
///
/// # Errors
/// If the node isn't there or isn't ready.
pub(crate) async fn run(args: &HealthArgs, out: Output) -> Result<Exit, CliError> {
    let path = if args.live { "/healthz" } else { "/readyz" };
    let address = reachable(args.admin);
    let away = |why: &dyn std::fmt::Display| CliError::failed("NODE_AWAY", format!("http://{address}{path}: {why}"));
    let answer = timeout(ANSWER_MAX, get(address, path)).await;
    let answer = answer.map_err(|_| away(&"no answer"))?.map_err(|error| away(&error))?;
    let (is_good, body) = read(&answer).ok_or_else(|| away(&"this is no HTTP answer"))?;
    if !is_good {
        return Err(CliError::failed("NOT_READY", body));
    }
    out.line(body);
    Ok(Exit::Done)
}

/// A node that listens on all addresses is reached on this machine.
fn reachable(admin: SocketAddr) -> SocketAddr {
    let ip = match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, admin.port())
}

/// One request of HTTP/1.0, whose answer ends with the connection.
async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Whether the status is 200, and the body.
fn read(answer: &str) -> Option<(bool, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut status_line = head.lines().next()?.split(' ');
    if !status_line.next()?.starts_with("HTTP/") {
        return None;
    }
    Some((status_line.next()? == "200", body.trim_end()))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What `reelway health` says to a node that answers like this.
    async fn told(answer: &'static str) -> Result<Exit, CliError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let admin = listener.local_addr().expect("its address");
        let node = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 256];
            let count = stream.read(&mut request).await.expect("a request");
            assert!(request[..count].starts_with(b"GET /readyz HTTP/1.0\r\n"));
            stream.write_all(answer.as_bytes()).await.expect("an answer");
        });
        let told = run(&HealthArgs { admin, live: false }, Output { is_json: false }).await;
        node.await.expect("the node");
        told
    }

    #[tokio::test]
    async fn the_status_decides() {
        assert_eq!(told("HTTP/1.1 200 OK\r\n\r\n{}\n").await.expect("ready"), Exit::Done);
        let error = told("HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\n{\"ready\":false}").await;
        let error = error.expect_err("not ready");
        assert_eq!((&*error.message, error.exit), ("{\"ready\":false}", Exit::Failed));
        assert_eq!(told("SSH-2.0\r\n").await.expect_err("no HTTP").reason, "NODE_AWAY");
    }

    #[test]
    fn all_addresses_are_this_machine() {
        for (listening, asked) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.7:1", "10.0.0.7:1"),
        ] {
            assert_eq!(reachable(listening.parse().expect("an address")).to_string(), asked);
        }
    }
}
