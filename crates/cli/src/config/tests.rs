use std::{env, process::Command};

use super::{testing::resolve, *};

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), text).expect("a written file");
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().expect("a plain path")
}

fn port(address: Option<SocketAddr>) -> u16 {
    address.expect("an address").port()
}

#[test]
fn without_options_all_roles_run_on_loopback() {
    let config = resolve(&[]).expect("the defaults");
    assert_eq!(config.roles, Role::ALL);
    assert_eq!(config.grpc, GrpcAddresses::default());
    assert_eq!((config.lame_duck, config.drain), (Duration::ZERO, DRAIN));
    assert_eq!(
        (config.upload_expiry, config.upload_idle),
        (UPLOAD_EXPIRY_DEFAULT, STREAM_IDLE_MAX)
    );
    assert!(!config.insecure && config.database.is_none());
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let file = file(
        "http = '127.0.0.1:1'\ngrpc = '127.0.0.1:2'\nupload-expiry = '90m'\nupload-idle = '5m'\nrole = ['jobs']\nworker-slots = 3",
    );
    let config = resolve(&["--config", path(&file), "--grpc", "127.0.0.1:3", "--insecure"]).expect("a configuration");
    assert_eq!(
        (config.http.port(), port(config.grpc.shared), config.admin.port()),
        (1, 3, ADMIN_PORT)
    );
    assert_eq!(config.upload_expiry, Duration::from_secs(90 * 60));
    assert_eq!(config.upload_idle, Duration::from_secs(300));
    assert_eq!((config.roles, config.worker_slots.get()), (vec![Role::Jobs], 3));
    assert!(config.insecure);
}

/// Variables belong to the whole process, so this test runs itself in another one that has them.
#[test]
fn the_environment_stands_between_flags_and_file() {
    const CHILD: &str = "REELWAY_TEST_CHILD";
    let file = file("http = '127.0.0.1:1'\ngrpc = '127.0.0.1:2'");
    if env::var_os(CHILD).is_some() {
        let config = resolve(&["--config", path(&file), "--admin", "127.0.0.1:9"]).expect("a configuration");
        assert_eq!(
            (config.http.port(), port(config.grpc.shared), config.admin.port()),
            (1, 5, 9)
        );
        assert_eq!(config.roles, [Role::Upload, Role::Worker]);
        assert!(config.insecure);
        return;
    }
    let own = env::current_exe().expect("this test's program");
    let child = Command::new(own)
        .args([
            "--exact",
            "config::tests::the_environment_stands_between_flags_and_file",
        ])
        .envs([
            (CHILD, "1"),
            ("REELWAY_GRPC", "127.0.0.1:5"),
            ("REELWAY_ADMIN", "127.0.0.1:6"),
        ])
        .envs([("REELWAY_ROLE", "worker,upload"), ("REELWAY_INSECURE", "true")])
        .output()
        .expect("it runs");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

#[test]
fn a_wrong_file_is_named_with_its_key() {
    for (text, key) in [
        ("htpp = '127.0.0.1:1'", "htpp"),
        ("http = 'here'", "http"),
        ("upload-expiry = 'soon'", "upload-expiry"),
    ] {
        let file = file(text);
        let error = resolve(&["--config", path(&file)]).expect_err(text).to_string();
        assert!(error.contains(path(&file)) && error.contains(key), "{error}");
    }
    assert!(matches!(
        resolve(&["--config", "/nowhere.toml"]),
        Err(ConfigError::Read { .. })
    ));
}

#[test]
fn some_roles_let_others_hear_of_their_end() {
    let config = resolve(&["--role", "jobs", "--drain", "1m"]).expect("a configuration");
    assert_eq!((config.lame_duck, config.drain), (LAME_DUCK, Duration::from_secs(60)));
    assert_eq!(
        resolve(&["--role", "jobs", "--lame-duck", "0s"])
            .expect("one")
            .lame_duck,
        Duration::ZERO
    );
}

#[test]
fn secrets_come_from_files() {
    let (url, secret) = (file("postgres://u:p@h/d\n"), file("whsec_x"));
    let flags = ["--database-file", path(&url), "--webhook-secret-file", path(&secret)];
    let config = resolve(&flags).expect("a configuration");
    assert_eq!(config.database.as_deref(), Some("postgres://u:p@h/d"));
    assert_eq!(config.webhooks.secret, Some(Secret("whsec_x".to_owned())));

    let both = [&flags[..], &["--database", "sqlite:///x"]].concat();
    assert!(matches!(resolve(&both), Err(ConfigError::Twice { option: "database" })));

    // The file of options names the value, the command line the file that holds it: the command line wins.
    let options = file("database = 'sqlite:///x'\nwebhook-secret = 'whsec_y'");
    let config = resolve(&["--config", path(&options), "--database-file", path(&url)]).expect("a configuration");
    assert_eq!(config.database.as_deref(), Some("postgres://u:p@h/d"));
    assert_eq!(config.webhooks.secret, Some(Secret("whsec_y".to_owned())));
}
