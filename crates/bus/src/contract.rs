//! What every bus does: the same tests over the one within the process and the one through a real Redis (invariant 11).

mod case;
mod hints;
mod samples;
mod wakes;

pub(crate) use case::{comes, job, next_job, notice, subscribe, tasks, trace};

/// Each of these functions is a test of both buses.
macro_rules! contract {
    ($($module:ident: $($name:ident),+;)+) => {
        mod local { $( mod $module { $(
            #[tokio::test]
            async fn $name() {
                super::super::$module::$name(super::super::case::Case::local()).await;
            }
        )+ } )+ }
        mod redis { $( mod $module { $(
            #[tokio::test]
            async fn $name() {
                super::super::$module::$name(super::super::case::Case::redis().await).await;
            }
        )+ } )+ }
    };
}

contract! {
    hints:
        every_subscriber_hears_every_hint_in_order,
        nothing_is_heard_from_before_subscribing,
        a_slow_subscriber_hears_that_it_lost_something,
        samples_push_out_no_hint,
        subscriptions_end_with_the_bus;
    wakes:
        a_wake_up_goes_to_one_worker_with_its_trace,
        as_many_wake_as_there_are_tasks,
        a_wake_up_is_kept_until_somebody_waits,
        a_wake_up_is_not_lost_on_somebody_who_stopped_waiting,
        wake_ups_are_bounded;
    samples:
        every_subscriber_hears_samples,
        many_samples_come_in_order;
}
