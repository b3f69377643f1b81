//! Roles share processes as one likes.

use std::time::Duration;

use reelway::v1;
use reelway_client::{Client, Endpoints};

use crate::harness::{Clip, Playback, Setup, Shape, System, clip, count_frames, upload, within};

const CLIP: Clip = Clip::short(2);
const JOB_MAX: Duration = Duration::from_secs(120);
/// What runs beside the edge.
const PROCESSES: [&str; 3] = ["upload,worker", "worker,jobs", "progress"];

#[tokio::test(flavor = "multi_thread")]
async fn any_roles_go_into_one_process() {
    let alone = Shape {
        upload: 0,
        jobs: 0,
        progress: 0,
        worker: 0,
        ..Shape::default()
    };
    let mut system = System::split(alone).await;
    for roles in PROCESSES {
        system.join(Setup::default().option("--role", roles)).await;
    }
    let [_, with_upload, with_jobs, with_progress] = system.servers() else {
        panic!("four processes")
    };
    let client = Client::connect(&Endpoints {
        upload: with_upload.grpc_url(),
        jobs: with_jobs.grpc_url(),
        progress: with_progress.grpc_url(),
    })
    .expect("addresses");
    let file = clip(CLIP).await;
    let request = v1::CreateUploadRequest {
        preset: "fast".to_owned(),
        ..Default::default()
    };
    let job_id = upload(&client, request, &file).await.job_id;
    let job = within(JOB_MAX, "a job that is done", async || {
        let request = v1::GetJobRequest { job_id: job_id.clone() };
        let job = client.get_job(request).await.expect("a job");
        (job.state() == v1::JobState::Succeeded).then_some(job)
    })
    .await;
    let playback = Playback::fetch(&job.playback_url, &system.dir().join("fetched")).await;
    for variant in playback.pictures() {
        assert_eq!(count_frames(variant).await, CLIP.frames(), "{}", variant.display());
    }
    for server in system.servers_mut() {
        let ended = server.terminate().await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
}
