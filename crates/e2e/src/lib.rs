//! Tests over real processes: the `reelway` command as users run it, real ffmpeg, real signals. They are in
//! `tests/system`; the workspace has to be built before, because cargo doesn't build another package's command for a test.
