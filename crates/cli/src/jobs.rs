//! `reelway jobs`: look at jobs and steer them.

use reelway::v1;
use reelway_client::Client;
use reelway_domain::JobState;

use crate::{
    args::{JobArgs, JobsCommand},
    error::{CliError, recorded},
    exit::Exit,
    json, list,
    output::Output,
    table,
};

/// Does one of the commands.
pub(crate) async fn run(command: JobsCommand, out: Output) -> Result<Exit, CliError> {
    match command {
        JobsCommand::List {
            state,
            upload,
            limit,
            client,
        } => {
            let filter = v1::ListJobsRequest {
                state: wire_state(state).into(),
                upload_id: upload.map(|id| id.to_string()).unwrap_or_default(),
                ..Default::default()
            };
            list(&client.connect()?, filter, limit, out).await?;
        }
        JobsCommand::Get(args) => {
            let job = args
                .client
                .connect()?
                .get_job(v1::GetJobRequest {
                    job_id: args.id.to_string(),
                })
                .await?;
            show(&job, out);
        }
        JobsCommand::Cancel(args) => {
            let job = args
                .client
                .connect()?
                .cancel_job(v1::CancelJobRequest {
                    job_id: args.id.to_string(),
                })
                .await?;
            show(&job, out);
        }
        JobsCommand::Retry(args) => {
            let job = args
                .client
                .connect()?
                .retry_job(v1::RetryJobRequest {
                    job_id: args.id.to_string(),
                })
                .await?;
            show(&job, out);
        }
        JobsCommand::Tasks(args) => tasks(args, out).await?,
        JobsCommand::Delete(args) => {
            args.client
                .connect()?
                .delete_job(v1::DeleteJobRequest {
                    job_id: args.id.to_string(),
                })
                .await?;
        }
    }
    Ok(Exit::Done)
}

async fn list(client: &Client, filter: v1::ListJobsRequest, limit: usize, out: Output) -> Result<(), CliError> {
    let jobs = list::up_to(limit, async |page_size, page_token| {
        let page = client
            .list_jobs(v1::ListJobsRequest {
                page_size,
                page_token,
                ..filter.clone()
            })
            .await?;
        Ok((page.jobs, page.next_page_token))
    })
    .await?;
    if out.is_json {
        jobs.iter().for_each(|job| out.json(&json::object(job)));
        return Ok(());
    }
    let row = |job: &v1::Job| {
        let created = job.create_time.map(|time| time.to_string()).unwrap_or_default();
        [
            job.id.clone(),
            json::job_state(job.state()),
            job.preset.clone(),
            created,
            job.upload_id.clone(),
        ]
    };
    table::print(
        out,
        ["JOB", "STATE", "PRESET", "CREATED", "UPLOAD"],
        &jobs.iter().map(row).collect::<Vec<_>>(),
    );
    Ok(())
}

async fn tasks(args: JobArgs, out: Output) -> Result<(), CliError> {
    let request = v1::ListTasksRequest {
        job_id: args.id.to_string(),
    };
    let tasks = args.client.connect()?.list_tasks(request).await?;
    if out.is_json {
        tasks.iter().for_each(|task| out.json(&json::object(task)));
        return Ok(());
    }
    let row = |task: &v1::Task| {
        [
            format!("{} {}", json::word(task.kind().as_str_name(), "TASK_KIND_"), task.index),
            json::word(task.state().as_str_name(), "TASK_STATE_"),
            format!("{}/{}", task.attempt, task.attempt_max),
            task.error.as_ref().map(recorded).unwrap_or_default(),
        ]
    };
    table::print(
        out,
        ["TASK", "STATE", "ATTEMPT", "ERROR"],
        &tasks.iter().map(row).collect::<Vec<_>>(),
    );
    Ok(())
}

fn show(job: &v1::Job, out: Output) {
    if out.is_json {
        return out.json(&json::object(job));
    }
    let mut rows = vec![
        ["job".to_owned(), job.id.clone()],
        ["state".to_owned(), json::job_state(job.state())],
        ["upload".to_owned(), job.upload_id.clone()],
    ];
    let mut row = |name: &str, value: String| rows.push([name.to_owned(), value]);
    if let Some(error) = &job.error {
        row("error", recorded(error));
    }
    if let Some(source) = &job.source {
        let duration = source.duration.map(|duration| duration.to_string()).unwrap_or_default();
        let codecs = [&*source.video_codec, &source.audio_codec].join(" ");
        row(
            "source",
            format!(
                "{}x{} {} {duration}",
                source.width_pixels,
                source.height_pixels,
                codecs.trim()
            ),
        );
    }
    let renditions: Vec<&str> = job.renditions.iter().map(|rendition| &*rendition.name).collect();
    row("renditions", renditions.join(" "));
    row("playback", job.playback_url.clone());
    table::print_plain(out, &rows);
}

fn wire_state(state: Option<JobState>) -> v1::JobState {
    match state {
        None => v1::JobState::Unspecified,
        Some(JobState::Queued) => v1::JobState::Queued,
        Some(JobState::Running) => v1::JobState::Running,
        Some(JobState::Succeeded) => v1::JobState::Succeeded,
        Some(JobState::Failed) => v1::JobState::Failed,
        Some(JobState::Cancelled) => v1::JobState::Cancelled,
    }
}
