//! What every store does, whichever it is: each behaviour is tried on a disk, in a bucket of a real S3 server, which `scripts/test`
//! starts (`REELWAY_TEST_S3`, with the credentials where AWS's own tools look for them), and in the same bucket behind what speaks
//! as Google Cloud Storage does.

mod draft;
mod outputs;
mod places;
mod uploads;
