//! One direction of one connection.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{ReadHalf, WriteHalf},
    sync::watch,
    time::sleep,
};

use super::{State, Way};

/// The most bytes that are in the proxy's hands at once, in each direction of each connection.
pub(super) const PIECE_BYTES_MAX: usize = 64 << 10;
/// A slow direction is given its bytes in so many portions a second.
const PORTIONS_PER_SECOND: u32 = 20;

/// Carries bytes, and in the end the end, from one socket to the other.
///
/// # Errors
/// If one of them fails.
pub(super) async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
    way: fn(&State) -> Way,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES_MAX];
    loop {
        let portion = portion_bytes(way(&state.borrow()));
        let read = from.read(&mut piece[..portion]).await;
        // An end or an error is news, too: a held wire doesn't tell it.
        let count = read.as_ref().map_or(0, |count| *count);
        passes(&mut state, way, count).await;
        if read? == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..count]).await?;
    }
}

/// Takes the time that the way takes for so many bytes.
async fn passes(state: &mut watch::Receiver<State>, way: fn(&State) -> Way, count: usize) {
    let now = way(&state.borrow());
    if !now.delay.is_zero() {
        sleep(now.delay).await;
    }
    if let Some(rate) = now.bytes_per_second_max {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        sleep(Duration::from_secs_f64(f64::from(count) / f64::from(rate))).await;
    }
    // An error says that the proxy is gone, and this task with it in a moment.
    let _ = state.wait_for(|state| !way(state).is_held).await;
}

fn portion_bytes(way: Way) -> usize {
    let portion = way
        .bytes_per_second_max
        .map(|rate| (rate / PORTIONS_PER_SECOND) as usize);
    portion.map_or(PIECE_BYTES_MAX, |bytes| bytes.clamp(1, PIECE_BYTES_MAX))
}
