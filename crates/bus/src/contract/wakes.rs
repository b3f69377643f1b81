//! A wake-up is for one worker.

use std::time::Duration;

use reelway_domain::TraceContext;
use tokio::{sync::mpsc, time::timeout};

use super::case::{Case, comes, tasks, trace};
use crate::{Bus, WAKES_MAX};

/// Long enough to be in the middle of a read.
const GIVES_UP_AFTER: Duration = Duration::from_millis(50);

/// A worker that waits until it is woken, so many times, and tells by whom.
fn worker(bus: &Bus, times: usize, woken: &mpsc::Sender<Option<TraceContext>>) {
    let (mut wakes, woken) = (bus.wakes(), woken.clone());
    tokio::spawn(async move {
        for _ in 0..times {
            let Some(wake_up) = wakes.next().await else { return };
            woken.send(wake_up.trace).await.unwrap();
        }
        // Keeps its place, and waits no more.
        std::future::pending::<()>().await;
    });
}

pub(super) async fn a_wake_up_goes_to_one_worker_with_its_trace(case: Case) {
    let (sender, mut woken) = mpsc::channel(10);
    let elsewhere = case.elsewhere();
    for bus in [&case.bus, &case.bus, &elsewhere] {
        worker(bus, 1, &sender);
    }
    case.bus.publish(&[tasks(1, 1)]).await.unwrap();
    assert_eq!(comes(woken.recv()).await.unwrap(), Some(trace(1)));
    // The other two are woken by this: had the first one been for two, one of these would be left over.
    case.bus.publish(&[tasks(2, 2)]).await.unwrap();
    assert_eq!(comes(woken.recv()).await.unwrap(), Some(trace(2)));
    assert_eq!(comes(woken.recv()).await.unwrap(), Some(trace(2)));
}

pub(super) async fn as_many_wake_as_there_are_tasks(case: Case) {
    let (sender, mut woken) = mpsc::channel(10);
    let elsewhere = case.elsewhere();
    for bus in [&case.bus, &case.bus, &elsewhere, &elsewhere] {
        worker(bus, 1, &sender);
    }
    case.bus.publish(&[tasks(3, 1), tasks(1, 2)]).await.unwrap();
    let mut traces = Vec::new();
    for _ in 0..4 {
        traces.extend(comes(woken.recv()).await.unwrap());
    }
    traces.sort_by_key(ToString::to_string);
    assert_eq!(traces, [trace(1), trace(1), trace(1), trace(2)]);
}

pub(super) async fn a_wake_up_is_kept_until_somebody_waits(case: Case) {
    let mut wakes = case.bus.wakes();
    case.bus.publish(&[tasks(1, 1)]).await.unwrap();
    assert_eq!(comes(wakes.next()).await.unwrap().trace, Some(trace(1)));
}

pub(super) async fn a_wake_up_is_not_lost_on_somebody_who_stopped_waiting(case: Case) {
    let elsewhere = case.elsewhere();
    let mut impatient = [case.bus.wakes(), elsewhere.wakes()];
    for wakes in &mut impatient {
        // Has its place in the group now, and reads.
        case.bus.publish(&[tasks(1, 1)]).await.unwrap();
        comes(wakes.next()).await.unwrap();
        assert!(timeout(GIVES_UP_AFTER, wakes.next()).await.is_err());
    }
    let (sender, mut woken) = mpsc::channel(10);
    worker(&case.bus, 3, &sender);
    for number in 2..5 {
        case.bus.publish(&[tasks(1, number)]).await.unwrap();
        assert_eq!(comes(woken.recv()).await.unwrap(), Some(trace(number)));
    }
}

pub(super) async fn wake_ups_are_bounded(case: Case) {
    case.bus.publish(&[tasks(u32::MAX, 1)]).await.unwrap();
    let mut wakes = case.bus.wakes();
    for _ in 0..WAKES_MAX {
        assert_eq!(comes(wakes.next()).await.unwrap().trace, Some(trace(1)));
    }
    case.bus.publish(&[tasks(1, 2)]).await.unwrap();
    assert_eq!(comes(wakes.next()).await.unwrap().trace, Some(trace(2)));
}
