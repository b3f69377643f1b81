//! Receivers of webhooks that fail, dawdle, point elsewhere or stand where nobody may look.

use std::time::Duration;

use reelway::v1;

use crate::harness::{
    Clip, Delivery, Receiver, Says, Shape, System, clip, upload, webhook_secret, within, within_secs,
};

/// A clip of no interest: only its upload is told of.
const CLIP: Clip = Clip::short(2);
/// A try takes 15 s at most, and the first pause after a failure is 5 s, with a little chance.
const AGAIN_MAX: Duration = Duration::from_secs(40);

on_both!(fault_29_receivers_that_fail, shape(true));
on_both!(fault_29_private_addresses_are_refused, shape(false));

async fn fault_29_receivers_that_fail(system: System) {
    let failing = Receiver::start(&[Says::Status(500)]).await;
    let misleading = Receiver::start(&[Says::Elsewhere]).await;
    let silent = Receiver::start(&[Says::Nothing]).await;
    let mut uploads = Vec::new();
    for receiver in [&silent, &failing, &misleading] {
        uploads.push(tells(&system, &receiver.url()).await.id);
    }
    for (receiver, upload_id) in [(&failing, &uploads[1]), (&misleading, &uploads[2])] {
        is_told_again(receiver, upload_id).await;
    }
    // One that says nothing has kept nobody waiting, and is left alone after a while.
    assert_eq!(silent.deliveries().len(), 1, "{:?}", silent.deliveries());
    is_told_again(&silent, &uploads[0]).await;
}

/// Waits until a receiver that didn't take the message got it once more.
async fn is_told_again(receiver: &Receiver, upload_id: &str) {
    let [first, second] = within(AGAIN_MAX, "a second try", async || {
        <[Delivery; 2]>::try_from(receiver.deliveries()).ok()
    })
    .await;
    assert!(!first.is_taken && second.is_taken, "{first:?} {second:?}");
    assert_eq!((&first.id, &first.body), (&second.id, &second.body), "the same message");
    assert!(second.timestamp > first.timestamp, "signed anew: {first:?} {second:?}");
    assert_eq!(
        (first.path.as_str(), second.path.as_str()),
        ("/hook", "/hook"),
        "no redirect is followed"
    );
    assert_eq!(
        (first.event(), first.upload_id()),
        ("upload.completed", Some(upload_id))
    );
}

async fn fault_29_private_addresses_are_refused(system: System) {
    let receiver = Receiver::start(&[]).await;
    tells(&system, &receiver.url()).await;
    within_secs(30, "a webhook that is refused", async || {
        let is_it = |line: &String| line.contains("a webhook was not taken") && line.contains("not a public address");
        system.servers().iter().any(|server| server.log().iter().any(is_it))
    })
    .await;
    assert!(receiver.deliveries().is_empty(), "{:?}", receiver.deliveries());
}

/// Uploads a clip that nothing is made of, and wants to be told here.
async fn tells(system: &System, url: &str) -> v1::Upload {
    let path = clip(CLIP).await;
    let request = v1::CreateUploadRequest {
        size_bytes: Some(i64::try_from(path.metadata().expect("a file").len()).expect("a length")),
        preset: "none".to_owned(),
        webhook_url: Some(url.to_owned()),
        ..Default::default()
    };
    upload(&system.client(), request, &path).await
}

fn shape(private_is_allowed: bool) -> Shape {
    let options = if private_is_allowed {
        vec!["--webhook-allow-private".to_owned()]
    } else {
        Vec::new()
    };
    Shape {
        worker: 0,
        options,
        env: vec![webhook_secret()],
        ..Shape::default()
    }
}
