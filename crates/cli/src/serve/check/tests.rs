use super::*;
use crate::config::testing::config;

const POSTGRES: [&str; 2] = ["--database", "postgres://u@127.0.0.1/d"];
const REDIS: [&str; 2] = ["--redis", "redis://127.0.0.1"];
const SHARED: [&str; 2] = ["--store", "file:///srv/reelway?shared=true"];

/// Options of a process that runs these roles beside others.
fn one_of_several(roles: &'static str) -> Vec<&'static str> {
    [["--role", roles], POSTGRES, REDIS, SHARED].concat()
}

fn refused(options: &[&str]) -> CliError {
    check(&config(options)).expect_err(&options.join(" "))
}

#[test]
fn what_can_not_work_is_refused_by_name() {
    let long_ago = "file:///srv?long=ago";
    let cases: [(&[&str], &str); 17] = [
        (&["--stream-window", "17M"], "--stream-window"),
        (&["--max-connection-age", "10ms"], "--max-connection-age"),
        (&["--lame-duck", "1h"], "--lame-duck"),
        (&["--trace-ratio", "1.5"], "--trace-ratio"),
        (&["--database", "mysql://u:p@h/d"], "--database"),
        (&["--role", "edge"], "--role"),
        (&["--redis", "redis://127.0.0.1"], "--redis"),
        (
            &[&POSTGRES[..], &REDIS, &["--redis-prefix", "a b"]].concat(),
            "--redis-prefix",
        ),
        (&["--store", "s3:///prefix"], "--store"),
        (&["--store", "file://relative"], "--store"),
        (&["--store", long_ago], "--store"),
        (&["--grpc", "0.0.0.0:50051"], "--grpc"),
        (&["--jobs-grpc", "127.0.0.1:1"], "--jobs-grpc"),
        (&["--grpc", "127.0.0.1:1", "--http", "127.0.0.1:1"], "--http"),
        (&["--webhook-url", "https://hooks.example/a"], "--webhook-url"),
        (&["--webhook-url", "ftp://hooks.example/a"], "--webhook-url"),
        (&["--admin", "[::]:9090"], "--admin"),
    ];
    for (options, named) in cases {
        let error = refused(options);
        assert!(error.message.starts_with(named), "{options:?}: {error}");
    }
}

#[test]
fn several_servers_need_what_they_share() {
    for (missing, named, reason) in [
        (POSTGRES, "--role", "SQLite"),
        (REDIS, "--role", "Redis"),
        (SHARED, "--store", "one process"),
    ] {
        let mut options = one_of_several("upload");
        let at = options
            .windows(2)
            .position(|pair| pair == missing)
            .expect("it is given");
        options.drain(at..at + 2);
        // Without a database there would be nothing that Redis could be shared for.
        let error = refused(&options);
        assert!(
            error.message.starts_with(named) && error.message.contains(reason),
            "{error}"
        );
        assert!(!error.hints.is_empty(), "{error}");
    }
}

#[test]
fn several_servers_share_the_store_for_outputs_too() {
    let of = |outputs: &'static str| [&one_of_several("upload")[..], &["--output-store", outputs]].concat();
    let error = refused(&of("file:///srv/outputs"));
    assert!(error.message.starts_with("--output-store"), "{error}");
    for outputs in ["file:///srv/outputs?shared=true", "s3://bucket/outputs"] {
        assert!(check(&config(&of(outputs))).is_ok(), "{outputs}");
    }
}

#[test]
fn what_works_is_taken() {
    let private = ["--grpc", "0.0.0.0:50051", "--insecure"];
    let any_ports = [
        "--grpc",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    // Nothing of it is served here.
    let unused = ["--http", "0.0.0.0:8080", "--grpc", "0.0.0.0:50051"];
    let progress = [["--role", "progress"], POSTGRES, REDIS].concat();
    let cases: [&[&str]; 8] = [
        &[],
        &private,
        &any_ports,
        &POSTGRES,
        &[POSTGRES, REDIS].concat(),
        &one_of_several("upload,jobs"),
        &[&one_of_several("worker")[..], &unused].concat(),
        // Progress has nothing to do with the bytes.
        &progress,
    ];
    let edge = one_of_several("edge");
    let error = refused(&edge);
    assert!(error.message.starts_with("--upload-url"), "{error}");
    check(&config(&[&edge[..], &["--server", "http://h:1"]].concat())).expect("it knows where the others are");
    for options in cases {
        check(&config(options)).unwrap_or_else(|error| panic!("{options:?}: {error}"));
    }
}

#[test]
fn passwords_are_not_told() {
    let error = refused(&["--database", "mysql://u:hush@h/d"]);
    assert!(!format!("{error} {:?}", error.hints).contains("hush"));
}
