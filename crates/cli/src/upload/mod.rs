//! `reelway upload`: files in, streaming video out, one file after another.

mod content_type;
mod digest;
mod event;
mod follow;
mod reporter;
mod send;
mod throttle;
mod ticket;

use std::path::PathBuf;

use clap::{ValueEnum as _, builder::PossibleValue};
use reelway_client::Client;

use crate::{args::UploadArgs, error::CliError, exit::Exit, output::Output, waiting};

use self::{reporter::Reporter, ticket::Tickets};

/// What the upload of a file needs.
struct Context<'a> {
    /// Its calls belong to one trace.
    client: Client,
    args: &'a UploadArgs,
    tickets: &'a Tickets,
}

/// Uploads each file. A file that can't be uploaded doesn't keep the next one from it, unless the servers are away.
pub(crate) async fn run(args: &UploadArgs, out: Output) -> Result<Exit, CliError> {
    let (client, tickets) = (args.client.connect()?, Tickets::of_user());
    let mut exit = Exit::Done;
    for (file_idx, path) in args.files.iter().enumerate() {
        let trace = reelway_telemetry::new_trace();
        let context = Context {
            client: client.clone().with_trace(&trace),
            args,
            tickets: &tickets,
        };
        let reporter = Reporter::new(out, path, &trace);
        let done = waiting::or_interrupt(send::run(&context, path, &reporter)).await;
        reporter.finish(done.as_ref().err());
        match done {
            Ok(()) => {}
            Err(error) if error.exit == Exit::TryAgain => {
                return Err(error.hint(format!("to continue: {}", command(args, &args.files[file_idx..]))));
            }
            Err(error) => {
                out.error(&error);
                exit = exit.max(error.exit);
            }
        }
    }
    Ok(exit)
}

/// The command that does what is left.
fn command(args: &UploadArgs, files: &[PathBuf]) -> String {
    let mut words = vec!["reelway".to_owned(), "upload".to_owned()];
    let mut option = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            words.extend([name.to_owned(), quoted(value)]);
        }
    };
    option("--server", Some(&args.client.server));
    option("--upload-url", args.client.upload_url.as_deref());
    option("--jobs-url", args.client.jobs_url.as_deref());
    option("--progress-url", args.client.progress_url.as_deref());
    option("--preset", Some(&args.preset));
    let priority = (args.priority != 0).then(|| args.priority.to_string());
    option("--priority", priority.as_deref());
    let source = args.source.and_then(|fate| fate.to_possible_value());
    option("--source", source.as_ref().map(PossibleValue::get_name));
    option("--content-type", args.content_type.as_deref());
    option("--webhook-url", args.webhook_url.as_deref());
    for (key, value) in &args.metadata {
        option("--metadata", Some(&format!("{key}={value}")));
    }
    let flags = [
        ("--json", args.client.json),
        ("--no-wait", args.no_wait),
        ("--sha256", args.sha256),
        ("--direct", args.direct),
    ];
    words.extend(
        flags
            .into_iter()
            .filter(|(_, is_set)| *is_set)
            .map(|(name, _)| name.to_owned()),
    );
    words.extend(files.iter().map(|path| quoted(&path.to_string_lossy())));
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn the_command_that_resumes_does_what_is_left_and_can_be_pasted() {
        let line = [
            "reelway",
            "upload",
            "a.mp4",
            "my 'b'.mp4",
            "--no-resume",
            "--json",
            "--metadata",
            "k=a b",
            "--source",
            "delete",
        ];
        let Command::Upload(args) = Cli::try_parse_from(line).expect("a command").command else {
            panic!("upload")
        };
        let expected = "reelway upload --server http://127.0.0.1:50051 --preset standard --source delete --metadata 'k=a b' --json \
                        'my '\\''b'\\''.mp4'";
        assert_eq!(command(&args, &args.files[1..]), expected);
    }
}
