//! Text that poses as video: playlists and scripts that name other files, and addresses.

use std::process::Command;

use reelway_domain::Reason;

use super::{bench, trap::Trap, way};
use crate::{SandboxLevel, testbench::Bench};

/// The name of the file that is to be stolen.
const CANARY: &str = "canary.ts";

/// Texts that lead to the trap, each with its name.
fn pretenders(trap: &Trap) -> Vec<(&'static str, String)> {
    let (file, address) = (trap.file().display(), trap.address());
    let port = address.rsplit(':').next().unwrap();
    let hls =
        |tags: &str, uri: &str| format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n{tags}#EXTINF:1,\n{uri}\n#EXT-X-ENDLIST\n");
    let http = format!("http://{address}/canary.ts");
    vec![
        ("hls_path.mp4", hls("", &format!("file://{file}"))),
        ("hls_name.mkv", hls("", CANARY)),
        ("hls_http.mp4", hls("", &http)),
        ("hls_tcp.ts", hls("", &format!("tcp://{address}"))),
        ("hls_concat.mp4", hls("", &format!("concat:{file}|{file}"))),
        ("hls_subfile.mp4", hls("", &format!("subfile,,start,0,end,0,,:{file}"))),
        (
            "hls_data.mp4",
            hls("", &format!("data:application/x-mpegurl,#EXTM3U%0A#EXTINF:1,%0A{file}")),
        ),
        ("hls_map.mp4", hls(&format!("#EXT-X-MAP:URI=\"{file}\"\n"), CANARY)),
        (
            "hls_key.mp4",
            hls(
                &format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{http}\"\n"),
                &format!("crypto:{file}"),
            ),
        ),
        (
            "hls_late.mp4",
            format!("{}{}", "\n".repeat(900), hls("", &file.to_string())),
        ),
        (
            "hls_multi.mp4",
            format!(
                "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"{http}\"\n\
                                   #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\n{http}\n"
            ),
        ),
        (
            "hls_in_id3.mp3",
            format!("ID3\u{4}\0\0\0\0\0\u{a}0123456789{}", hls("", &http)),
        ),
        ("concat_name.mp4", format!("ffconcat version 1.0\nfile {CANARY}\n")),
        ("concat_path.mkv", format!("ffconcat version 1.0\nfile '{file}'\n")),
        ("concat_http.mp4", format!("ffconcat version 1.0\nfile '{http}'\n")),
        ("dash.mp4", dash(&http)),
        ("dash_file.mp4", dash(&format!("file://{file}"))),
        (
            "smooth.mp4",
            format!("<SmoothStreamingMedia><StreamIndex Url=\"{http}\"/></SmoothStreamingMedia>"),
        ),
        (
            "asx.mp4",
            format!("<ASX version=\"3.0\"><Entry><Ref href=\"{http}\"/></Entry></ASX>"),
        ),
        ("reference.mp4", format!("[Reference]\nRef1={http}\nRef2={file}\n")),
        ("pls.mp4", format!("[playlist]\nFile1={http}\nNumberOfEntries=1\n")),
        ("rtsp.mov", format!("rtsptext\nrtsp://{address}/canary\n")),
        (
            "sdp.mp4",
            format!(
                "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n\
                             a=rtpmap:96 H264/90000\n"
            ),
        ),
        (
            "imf.mp4",
            format!(
                "<?xml version=\"1.0\"?><CompositionPlaylist xmlns=\"http://www.smpte-ra.org/schemas/2067-3/2016\">\
                             <Id>{file}</Id></CompositionPlaylist>"
            ),
        ),
        (
            "svg.mp4",
            format!(
                "<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\">\
                             <image href=\"{file}\" width=\"9\" height=\"9\"/></svg>"
            ),
        ),
        (
            "vobsub.mp4",
            format!(
                "# VobSub index file, v7 (do not modify this line!)\nsize: 720x576\nid: en, index: 0\n\
                                timestamp: 00:00:00:000, filepos: 000000000\n{}",
                "# \n".repeat(99)
            ),
        ),
        (
            "ted.mp4",
            "{\"captions\":[{\"duration\":1000,\"content\":\"x\",\"startOfParagraph\":true,\"startTime\":0}]}"
                .to_owned(),
        ),
        (
            "jacosub.mp4",
            format!("#TIMERES 30\n#INCLUDE {file}\n0:00:00.00 0:00:09.00 D x\n"),
        ),
        ("sami.mp4", "<SAMI><BODY><SYNC Start=0><P>x</SAMI>".to_owned()),
        (
            "words.mp4",
            "1\n00:00:00,000 --> 00:00:09,000\n<img src='file:///etc/passwd'>\n\n".to_owned(),
        ),
        (
            "ass.mp4",
            "[Script Info]\nScriptType: v4.00+\n[Fonts]\nfontname: /etc/passwd\n".to_owned(),
        ),
        ("lavfi.mp4", format!("movie={file}[out0];amovie={http}[out1]")),
        (
            "metadata.mp4",
            format!(";FFMETADATA1\ntitle={file}\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=9\n"),
        ),
        ("avisynth.mp4", format!("DirectShowSource(\"{file}\")\n")),
        ("shell.mp4", format!("#!/bin/sh\ncat {file}\n")),
    ]
}

fn dash(base: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT1S\" profiles=\"urn:mpeg:dash:profile:isoff-main:2011\"><Period><AdaptationSet \
         mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1\"><BaseURL>{base}</BaseURL></Representation>\
         </AdaptationSet></Period></MPD>"
    )
}

#[tokio::test]
async fn they_are_refused_without_opening_or_calling_anything() {
    for level in [SandboxLevel::Prefer, SandboxLevel::Off] {
        let bench = bench(level).await;
        let trap = Trap::set(&bench, CANARY);
        // The pictures' file of a VobSub index has its name.
        std::fs::hard_link(trap.file(), bench.path("vobsub.sub")).unwrap();
        for (name, text) in pretenders(&trap) {
            let reason = way(&bench, &bench.file(name, text.as_bytes())).await;
            assert_eq!(reason, Some(Reason::SourceNotMedia), "{name} at {level:?}");
            assert!(!trap.was_opened(), "{name} at {level:?} opened the file");
            assert!(!trap.was_called(), "{name} at {level:?} made a connection");
        }
    }
}

/// Shows that the trap works and the bait is good: without the guards, ffprobe falls for it.
#[tokio::test]
async fn an_unguarded_ffprobe_falls_for_them() {
    let bench = bench(SandboxLevel::Off).await;
    let trap = Trap::set(&bench, CANARY);
    let pretenders = pretenders(&trap);
    let text = |wanted: &str| &pretenders.iter().find(|(name, _)| *name == wanted).unwrap().1;
    for name in ["hls_path.mp4", "hls_name.mkv", "concat_name.mp4"] {
        unguarded(&bench, &[], name, text(name));
        assert!(trap.was_opened() && !trap.was_called(), "{name}");
    }
    let network = ["-protocol_whitelist", "file,http,tcp", "-safe", "0", "-f", "concat"];
    unguarded(&bench, &network, "concat_http.mp4", text("concat_http.mp4"));
    assert!(trap.was_called() && !trap.was_opened());
}

fn unguarded(bench: &Bench, options: &[&str], name: &str, text: &str) {
    // Nobody answers a call, and a playlist that never ends is asked for again and again.
    let mut ffprobe = Command::new("timeout");
    ffprobe
        .args(["5", "ffprobe", "-v", "quiet", "-rw_timeout", "1000000"])
        .args(options);
    ffprobe.arg(bench.file(name, text.as_bytes()));
    ffprobe.status().unwrap();
}
