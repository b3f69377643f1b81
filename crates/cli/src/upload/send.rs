//! One file: find or create its upload, send what is missing, follow its job.

use std::{path::Path, time::Duration};

use reelway::v1;
use reelway_client::{Activity, Error, UploadProgress};
use tokio::{fs::File, sync::watch, time};

use super::{
    Context, content_type, digest,
    event::Event,
    follow,
    reporter::Reporter,
    throttle::Throttled,
    ticket::{Place, Source, Ticket},
};
use crate::{error::CliError, exit::Exit, waiting};

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Uploads one file and waits for its job, if that is wanted.
pub(crate) async fn run(context: &Context<'_>, path: &Path, reporter: &Reporter) -> Result<(), CliError> {
    let source = Source::find(path).map_err(|error| unreadable(path, &error))?;
    let endpoints = context.args.client.endpoints();
    let place = context.tickets.place(&source, &endpoints.upload, &context.args.preset);
    let upload = begin(context, &source, &place, reporter);
    let upload = waiting::for_server(&endpoints.upload, reporter.out, upload).await?;
    let job_id = upload.job_id.clone();
    let transfer = transfer(context, upload, &source, reporter);
    let ended = if context.args.no_wait || job_id.is_empty() {
        transfer.await
    } else {
        // Both at once: the video may be playable before the last byte is sent.
        let both = tokio::try_join!(transfer, follow::run(&context.client, &job_id, reporter));
        both.and_then(|((), job)| follow::verdict(&job))
    };
    // Until then the same command goes on: with the bytes, or with the wait for the job.
    let is_over = reporter.is_stored() && !ended.as_ref().is_err_and(|error| error.exit == Exit::TryAgain);
    if is_over {
        place.remove();
    }
    ended
}

/// The upload of an earlier run if the server still takes it, a new one otherwise.
async fn begin(
    context: &Context<'_>,
    source: &Source,
    place: &Place,
    reporter: &Reporter,
) -> Result<v1::Upload, CliError> {
    let kept = if context.args.no_resume { None } else { place.load() };
    if let Some(ticket) = kept
        && let Some(upload) = usable(find(context, source, &ticket).await)?
    {
        keep(place, &ticket.for_upload(&upload.id), reporter);
        let (upload_id, job_id) = (upload.id.clone(), upload.job_id.clone());
        let (size_bytes, durable_offset) = (upload.size_bytes(), upload.durable_offset);
        reporter.tell(&Event::UploadResumed {
            upload_id,
            job_id,
            size_bytes,
            durable_offset,
        });
        return Ok(upload);
    }
    let ticket = Ticket::new(source);
    keep(place, &ticket, reporter);
    let upload = find(context, source, &ticket).await.inspect_err(|error| {
        // What is refused for good won't be asked for again with this request id.
        if error.exit != Exit::TryAgain {
            place.remove();
        }
    })?;
    keep(place, &ticket.for_upload(&upload.id), reporter);
    let (upload_id, job_id, size_bytes) = (upload.id.clone(), upload.job_id.clone(), upload.size_bytes());
    reporter.tell(&Event::UploadCreated {
        upload_id,
        job_id,
        size_bytes,
    });
    Ok(upload)
}

/// The upload that the ticket stands for; created, if that never happened.
async fn find(context: &Context<'_>, source: &Source, ticket: &Ticket) -> Result<v1::Upload, CliError> {
    if let Some(upload_id) = ticket.upload_id.clone() {
        return Ok(context
            .client
            .get_upload(v1::GetUploadRequest {
                upload_id,
                end_writer: false,
            })
            .await?);
    }
    let args = context.args;
    let expected_sha256 = if args.sha256 {
        digest::of_file(source.path.clone())
            .await
            .map_err(|error| unreadable(&source.path, &error))?
    } else {
        Vec::new()
    };
    let guessed = content_type::guess(&source.path);
    let request = v1::CreateUploadRequest {
        // A file longer than that can't be; the server says which lengths it takes.
        size_bytes: Some(i64::try_from(source.size_bytes).unwrap_or(i64::MAX)),
        file_name: source.name(),
        content_type: args.content_type.clone().unwrap_or_else(|| guessed.to_owned()),
        metadata: args.metadata.iter().cloned().collect(),
        expected_sha256: expected_sha256.into(),
        request_id: ticket.request_id.clone(),
        preset: args.preset.clone(),
        webhook_url: args.webhook_url.clone(),
        priority: args.priority,
        source_action: args.source.map_or(v1::SourceAction::Unspecified, Into::into).into(),
        ..v1::CreateUploadRequest::default()
    };
    Ok(context.client.create_upload(request).await?)
}

/// What an earlier run's upload is good for: it goes on, or it is gone and a new one is needed.
fn usable(found: Result<v1::Upload, CliError>) -> Result<Option<v1::Upload>, CliError> {
    match found {
        Ok(upload) => match upload.state() {
            v1::UploadState::Receiving | v1::UploadState::Complete => Ok(Some(upload)),
            _ => Ok(None),
        },
        Err(error)
            if matches!(
                &*error.reason,
                "UPLOAD_NOT_FOUND" | "UPLOAD_EXPIRED" | "REQUEST_ID_REUSED"
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Keeps the ticket if that is possible; the upload goes on either way.
fn keep(place: &Place, ticket: &Ticket, reporter: &Reporter) {
    if let Err(error) = place.save(ticket) {
        reporter.note(format_args!(
            "warning: an interrupted upload can't be continued later: {error}"
        ));
    }
}

/// Sends what is missing and tells how far it is.
async fn transfer(
    context: &Context<'_>,
    upload: v1::Upload,
    source: &Source,
    reporter: &Reporter,
) -> Result<(), CliError> {
    let upload_id = upload.id.clone();
    let (durable_bytes, size_bytes) = (upload.durable_offset.unsigned_abs(), source.size_bytes);
    let sent_bytes = durable_bytes;
    let progress = watch::Sender::new(UploadProgress {
        size_bytes,
        durable_bytes,
        sent_bytes,
        ..UploadProgress::default()
    });
    tokio::select! {
        sent = send(context, upload, source, &progress, reporter) => sent?,
        never = tell_progress(&upload_id, progress.subscribe(), reporter) => match never {},
    };
    reporter.tell(&Event::UploadComplete { upload_id });
    Ok(())
}

async fn send(
    context: &Context<'_>,
    mut upload: v1::Upload,
    source: &Source,
    progress: &watch::Sender<UploadProgress>,
    reporter: &Reporter,
) -> Result<(), CliError> {
    if context.args.direct {
        let sent = context.client.upload_direct(upload.clone(), &source.path, progress);
        let Err(error) = sent.await else { return Ok(()) };
        let Some(why) = not_directly(&error) else {
            return Err(error.into());
        };
        reporter.note(format_args!("the bytes go through the server: {why}"));
        let request = v1::GetUploadRequest {
            upload_id: upload.id,
            end_writer: false,
        };
        // Some may be in the bucket already.
        upload = context.client.get_upload(request).await?;
    }
    match context.args.limit_rate {
        None => context.client.upload_file(upload, &source.path, progress).await?,
        Some(rate) => {
            let file = File::open(&source.path)
                .await
                .map_err(|error| unreadable(&source.path, &error))?;
            let mut slow = Throttled::new(file, rate);
            context
                .client
                .upload(upload, &mut slow, source.size_bytes, progress)
                .await?
        }
    };
    Ok(())
}

/// Why bytes that don't get into the bucket from here may get there through the server; `None` if that makes no difference.
fn not_directly(error: &Error) -> Option<String> {
    match error {
        Error::Refused(refusal) if matches!(&*refusal.reason, "DIRECT_UNAVAILABLE" | "UNIMPLEMENTED") => {
            Some(refusal.message.clone())
        }
        Error::Bucket(_) => Some(error.to_string()),
        _ => None,
    }
}

async fn tell_progress(
    upload_id: &str,
    mut progress: watch::Receiver<UploadProgress>,
    reporter: &Reporter,
) -> std::convert::Infallible {
    let mut told = None;
    loop {
        let now = progress.borrow_and_update().clone();
        let upload_id = upload_id.to_owned();
        let event = match now.activity {
            Activity::Waiting {
                retries,
                reason,
                message,
            } => Event::UploadWaiting {
                upload_id,
                retries,
                reason,
                message,
            },
            Activity::Sending => Event::UploadProgress {
                upload_id,
                durable_offset: now.durable_bytes,
                size_bytes: now.size_bytes,
            },
        };
        if told.as_ref() != Some(&event) {
            reporter.tell(&event);
            told = Some(event);
        }
        time::sleep(PROGRESS_EVERY).await;
        if progress.changed().await.is_err() {
            // The upload has ended, and whoever waits for it will see.
            std::future::pending::<()>().await;
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::failed("FILE_UNREADABLE", format_args!("{}: {error}", path.display()))
}
