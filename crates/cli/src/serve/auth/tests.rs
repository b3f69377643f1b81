use std::fs;

use crate::{config::testing::config, error::CliError, serve::check};

const JWKS: [&str; 4] = ["--auth", "required", "--jwt-jwks", "https://id.example/jwks.json"];
const NAMES: [&str; 4] = ["--jwt-issuer", "https://id.example", "--jwt-audience", "reelway"];

fn refused(options: &[&str]) -> CliError {
    check(&config(options)).expect_err(&options.join(" "))
}

#[test]
fn what_can_not_work_is_refused_by_name() {
    let tokens = [JWKS, NAMES].concat();
    let with = |more: &[&'static str]| [&tokens[..], more].concat();
    let from = |jwks: &'static str| [&["--auth", "required", "--jwt-jwks", jwks], &NAMES[..]].concat();
    let cases: [(Vec<&str>, &str); 10] = [
        (NAMES.to_vec(), "--jwt-jwks"),
        ([&JWKS[2..], &NAMES].concat(), "--jwt-jwks"),
        ([&JWKS[..], &NAMES[2..]].concat(), "--jwt-issuer"),
        ([&JWKS[..], &NAMES[..2]].concat(), "--jwt-audience"),
        (with(&["--jwt-algorithms", "RS256,HS256"]), "--jwt-algorithms"),
        (with(&["--jwt-algorithms", "none"]), "--jwt-algorithms"),
        (with(&["--jwt-leeway", "1h"]), "--jwt-leeway"),
        (from("http://id.example/jwks.json"), "--jwt-jwks"),
        (from("ldap://id.example"), "--jwt-jwks"),
        (from("/nowhere/jwks.json"), "--jwt-jwks"),
    ];
    for (options, named) in cases {
        let error = refused(&options);
        assert!(error.message.starts_with(named), "{options:?}: {error}");
    }
}

#[test]
fn what_works_is_taken() {
    let tokens = [JWKS, NAMES].concat();
    let open = ["--auth", "required", "--grpc", "0.0.0.0:50051", "--http", "[::]:8080"];
    let by_pair = [
        "--jwt-algorithms",
        "ES384,EdDSA",
        "--jwt-leeway",
        "0s",
        "--jwt-tenant-claim",
        "org",
    ];
    for options in [&open[..], &tokens, &[&tokens[..], &by_pair].concat()] {
        check(&config(options)).unwrap_or_else(|error| panic!("{options:?}: {error}"));
    }
}

#[test]
fn keys_to_sign_with_must_be_good_and_are_not_told() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("a path").to_owned();
    for (text, is_good) in [
        ("", false),
        ("hush\n", false),
        ("0123456789abcdef0123456789abcdef\n", true),
    ] {
        fs::write(file.path(), text).expect("a written file");
        let config = config(&["--signing-key-file", &path]);
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
        match check(&config) {
            Ok(()) => assert!(is_good, "{text:?}"),
            Err(error) => {
                assert!(
                    !is_good && error.message.starts_with("--signing-key-file"),
                    "{text:?}: {error}"
                );
                assert!(!error.to_string().contains("hush"));
            }
        }
    }
}
