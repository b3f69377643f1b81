//! What comes with a video: the file to keep, and the storyboard.

use super::{check::transcode, clip::Clip, pictures, run, sound, source};

/// How far a frame of the file may be from the same frame of a player's.
const TIME_ERROR_S_MAX: f64 = 0.000_1;
/// How far a beep may move against the picture.
const SYNC_ERROR_S_MAX: f64 = 0.020;
/// How many frames a picture of the storyboard may be from its time: of B-frames in a row, only those that others need are decoded.
const STORYBOARD_FRAMES_OFF: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn the_file_to_keep_is_what_players_get() {
    let outcome = transcode(&Clip::default(), &[180, 120]).await;
    let file = outcome.played.download.clone().unwrap();
    let video = &outcome.played.videos[0];
    let times = source::times(&file, "v:0");
    let shown = video.shown();
    assert_eq!(times.len(), shown.len());
    for (found, expected) in times.iter().zip(&shown) {
        assert!(
            (found - expected).abs() <= TIME_ERROR_S_MAX,
            "{found} s, not {expected} s"
        );
    }
    let compared = pictures::compare(&outcome.source, &video.file, video.size.unwrap(), 0, pictures::FIRST);
    assert_eq!(compared.result, compared.source);
    let (heard, expected) = (sound::onsets(&file), sound::onsets(&outcome.source));
    assert_eq!(heard.len(), expected.len());
    for (heard, expected) in heard.iter().zip(&expected) {
        assert!(
            (heard - expected).abs() <= SYNC_ERROR_S_MAX,
            "{heard} s, not {expected} s"
        );
    }
    let bytes = std::fs::read(&file).unwrap();
    let place = |kind: &[u8; 4]| bytes.windows(4).position(|bytes| bytes == kind).unwrap();
    assert!(place(b"moov") < place(b"mdat"), "the index is in front");
}

/// Each picture stands upright and is from the middle of its second.
#[tokio::test(flavor = "multi_thread")]
async fn a_storyboard() {
    let outcome = transcode(&Clip::default(), &[180, 120]).await;
    let dir = &outcome.played.dir;
    let text = std::fs::read_to_string(dir.join("storyboard.vtt")).unwrap();
    let cues: Vec<&str> = text.lines().filter(|line| line.contains("#xywh=")).collect();
    assert_eq!(cues.len(), 14);
    for (second, cue) in cues.iter().enumerate().take(13) {
        let (sheet, place) = cue.split_once("#xywh=").unwrap();
        let place: Vec<&str> = place.split(',').collect();
        let filter = format!(
            "crop={}:{}:{}:{},crop=iw:ih/8:0:0,format=gray,scale=12:1:flags=area",
            place[2], place[3], place[0], place[1]
        );
        let words = ["-v", "error", "-i", sheet, "-vf", &filter, "-f", "rawvideo", "-"];
        let pixels = run("ffmpeg", dir, &words).stdout;
        let code = pixels
            .iter()
            .rev()
            .fold(0, |code, &pixel| code * 2 + usize::from(pixel > 128));
        let expected = second * 30 + 15;
        assert!(
            code.abs_diff(expected) <= STORYBOARD_FRAMES_OFF,
            "the picture of second {second} is frame {code}, not {expected}"
        );
    }
}
