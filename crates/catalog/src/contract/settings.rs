//! What a deployment agrees on.

use std::{collections::HashSet, sync::Arc};

use tokio::{sync::Barrier, task::JoinSet};

use super::{db::Db, on_both};

on_both!(the_first_process_decides, processes_that_start_together_agree);

async fn the_first_process_decides(db: &Db) {
    let agree = async |name, value| db.catalog.agree(name, value).await.unwrap();
    assert_eq!(agree("store", "disk:/a").await, "disk:/a");
    assert_eq!(agree("store", "disk:/b").await, "disk:/a");
    assert_eq!(agree("store", "disk:/a").await, "disk:/a");
    assert_eq!(agree("another", "x").await, "x");
}

async fn processes_that_start_together_agree(db: &Db) {
    const PROCESSES: usize = 8;
    let barrier = Arc::new(Barrier::new(PROCESSES));
    let mut processes = JoinSet::new();
    for number in 0..PROCESSES {
        let (catalog, barrier) = (db.catalog.clone(), Arc::clone(&barrier));
        processes.spawn(async move {
            barrier.wait().await;
            catalog.agree("store", &number.to_string()).await.unwrap()
        });
    }
    let agreed: HashSet<String> = processes.join_all().await.into_iter().collect();
    assert_eq!(agreed.len(), 1, "{agreed:?}");
}
