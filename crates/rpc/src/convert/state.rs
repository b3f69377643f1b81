//! Enums of the domain and their twins in the contract.

use reelway::v1;
use reelway_domain::{EncoderSpeed, JobState, SourceAction, SourceState, TaskKind, TaskState, UploadState, VideoCodec};

/// A domain enum with a twin in the contract, which has one value more: unspecified.
pub trait ProtoEnum: Copy {
    /// The twin.
    type Proto: Copy + TryFrom<i32> + Into<i32>;

    /// As the contract says it.
    fn to_proto(self) -> Self::Proto;

    /// As the domain says it; `None` for unspecified.
    fn from_proto(value: Self::Proto) -> Option<Self>;
}

macro_rules! twins {
    ($($name:ident { $($variant:ident),+ })+) => {$(
        impl ProtoEnum for $name {
            type Proto = v1::$name;

            fn to_proto(self) -> v1::$name {
                match self { $(Self::$variant => v1::$name::$variant,)+ }
            }

            fn from_proto(value: v1::$name) -> Option<Self> {
                match value {
                    v1::$name::Unspecified => None,
                    $(v1::$name::$variant => Some(Self::$variant),)+
                }
            }
        }
    )+};
}

// The matches are exhaustive both ways: a value that only one side has doesn't compile.
twins! {
    UploadState { Receiving, Complete, Failed, Aborted, Expired }
    JobState { Queued, Running, Succeeded, Failed, Cancelled }
    TaskState { Queued, Running, Succeeded, Failed, Cancelled }
    TaskKind { Probe, Plan, Lead, Trial, Video, Audio, Subtitles, Poster, Storyboard, Download, Verify, Package, Finish }
    SourceAction { Keep, Delete, Archive }
    SourceState { Stored, Archived, Removed }
    EncoderSpeed { Fast, Standard, Quality }
    VideoCodec { H264, Hevc, Av1 }
}
