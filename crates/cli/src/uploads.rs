//! `reelway uploads`: look at uploads and give them up.

use reelway::v1;
use reelway_client::Client;
use reelway_domain::UploadState;

use crate::{
    args::UploadsCommand,
    error::{CliError, recorded},
    exit::Exit,
    json, list,
    output::Output,
    table,
};

/// Does one of the commands.
pub(crate) async fn run(command: UploadsCommand, out: Output) -> Result<Exit, CliError> {
    match command {
        UploadsCommand::List { state, limit, client } => list(&client.connect()?, state, limit, out).await?,
        UploadsCommand::Get(args) => {
            let request = v1::GetUploadRequest {
                upload_id: args.id.to_string(),
                end_writer: false,
            };
            show(&args.client.connect()?.get_upload(request).await?, out);
        }
        UploadsCommand::Abort(args) => {
            let request = v1::AbortUploadRequest {
                upload_id: args.id.to_string(),
                also_complete: false,
            };
            show(&args.client.connect()?.abort_upload(request).await?, out);
        }
    }
    Ok(Exit::Done)
}

async fn list(client: &Client, state: Option<UploadState>, limit: usize, out: Output) -> Result<(), CliError> {
    let filter = v1::ListUploadsRequest {
        state: wire_state(state).into(),
        ..Default::default()
    };
    let uploads = list::up_to(limit, async |page_size, page_token| {
        let page = client
            .list_uploads(v1::ListUploadsRequest {
                page_size,
                page_token,
                ..filter.clone()
            })
            .await?;
        Ok((page.uploads, page.next_page_token))
    })
    .await?;
    if out.is_json {
        uploads.iter().for_each(|upload| out.json(&json::object(upload)));
        return Ok(());
    }
    let row = |upload: &v1::Upload| {
        let created = upload.create_time.map(|time| time.to_string()).unwrap_or_default();
        [
            upload.id.clone(),
            json::upload_state(upload.state()),
            stored(upload),
            created,
            upload.file_name.clone(),
        ]
    };
    table::print(
        out,
        ["UPLOAD", "STATE", "STORED", "CREATED", "FILE"],
        &uploads.iter().map(row).collect::<Vec<_>>(),
    );
    Ok(())
}

fn show(upload: &v1::Upload, out: Output) {
    if out.is_json {
        return out.json(&json::object(upload));
    }
    let mut rows = vec![
        ["upload".to_owned(), upload.id.clone()],
        ["state".to_owned(), json::upload_state(upload.state())],
        ["file".to_owned(), upload.file_name.clone()],
        ["stored".to_owned(), stored(upload)],
        ["job".to_owned(), upload.job_id.clone()],
    ];
    if let Some(error) = &upload.error {
        rows.push(["error".to_owned(), recorded(error)]);
    }
    table::print_plain(out, &rows);
}

/// How much is stored, and of how much.
fn stored(upload: &v1::Upload) -> String {
    let bytes = |count: i64| indicatif::BinaryBytes(count.unsigned_abs()).to_string();
    let size = upload.size_bytes.map_or_else(|| "?".to_owned(), bytes);
    format!("{} of {size}", bytes(upload.durable_offset))
}

fn wire_state(state: Option<UploadState>) -> v1::UploadState {
    match state {
        None => v1::UploadState::Unspecified,
        Some(UploadState::Receiving) => v1::UploadState::Receiving,
        Some(UploadState::Complete) => v1::UploadState::Complete,
        Some(UploadState::Failed) => v1::UploadState::Failed,
        Some(UploadState::Aborted) => v1::UploadState::Aborted,
        Some(UploadState::Expired) => v1::UploadState::Expired,
    }
}
