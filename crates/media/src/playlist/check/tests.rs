use super::*;

const MEDIA: &str = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n\
                     #EXT-X-MAP:URI=\"i\"\n#EXTINF:4.400000,\nx\n#EXT-X-ENDLIST\n";
const TEXT: &str = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n\
                    #EXTINF:4.400000,\nx.vtt\n#EXT-X-ENDLIST\n";
const MASTER: &str = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"en\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a\"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"en\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI=\"t\"
#EXT-X-STREAM-INF:BANDWIDTH=2,AVERAGE-BANDWIDTH=1,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=2x2,FRAME-RATE=25.000,\
VIDEO-RANGE=SDR,AUDIO=\"audio\",SUBTITLES=\"text\"
v
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=2,AVERAGE-BANDWIDTH=1,CODECS=\"avc1.64001f\",RESOLUTION=2x2,VIDEO-RANGE=SDR,URI=\"k\"
";

/// The files `m`, `v`, `k`, `a` and `t`, after one of them was changed.
fn after(file: &str, change: impl Fn(&str) -> String) -> Vec<String> {
    let keyframes = MEDIA
        .replace("#EXT-X-MAP", "#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP")
        .replace("\nx\n", "\n#EXT-X-BYTERANGE:9@0\nx\n");
    let mut files: Vec<(&str, String)> = [
        ("m", MASTER),
        ("v", MEDIA),
        ("k", &keyframes),
        ("a", MEDIA),
        ("t", TEXT),
    ]
    .map(|(name, text)| (name, text.to_owned()))
    .into();
    for (name, text) in &mut files {
        if *name == file {
            *text = change(text);
        }
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    violations("m", &files)
}

fn broken(file: &str, from: &str, to: &str) {
    let found = after(file, |text| {
        assert!(text.contains(from), "{file} has no {from}");
        text.replacen(from, to, 1)
    });
    assert_ne!(found, [""; 0], "{file}: {from} to {to}");
}

#[test]
fn what_keeps_the_rules_passes() {
    assert_eq!(after("", str::to_owned), [""; 0]);
}

#[test]
fn mistakes_in_media_playlists_are_seen() {
    for (from, to) in [
        ("4.400000", "4.600000"),
        ("4.400000", "0.000000"),
        ("4.400000", "3.900000"),
        ("VERSION:7", "VERSION:5"),
        ("#EXT-X-ENDLIST\n", ""),
        ("#EXT-X-MAP:URI=\"i\"\n", ""),
        (":VOD", ":EVENT"),
        (":VOD\n", ":LIVE\n"),
        ("SEQUENCE:0", "SEQUENCE:1"),
        ("#EXTM3U\n", ""),
        ("\nx\n", "\nhttp://elsewhere/x\n"),
        ("\nx\n", "\nx\ny\n"),
        ("TARGETDURATION:4", "TARGETDURATION:5"),
        ("#EXTINF", "#EXT-X-DISCONTINUITY\n#EXTINF"),
    ] {
        broken("k", from, to);
    }
    broken("v", "#EXTINF", "#EXT-X-BYTERANGE:9@0\n#EXTINF");
    broken("k", "9@0", "9@8");
    broken("k", "#EXT-X-BYTERANGE:9@0\n", "");
    broken("t", "4.400000", "4.300000");
    broken("t", "x.vtt", "x");
}

#[test]
fn mistakes_in_the_multivariant_playlist_are_seen() {
    for (from, to) in [
        ("AVERAGE-BANDWIDTH", "AVG"),
        ("BANDWIDTH=2", "BANDWIDTH=0"),
        ("avc1.64001f,mp4a.40.2", "avc3.64001f,mp4a.40.2"),
        ("avc1.64001f,mp4a.40.2", "avc1.64001f"),
        ("#EXT-X-INDEPENDENT-SEGMENTS\n", ""),
        ("\nv\n", "\nw\n"),
        ("FRAME-RATE=25.000", "FRAME-RATE=25"),
        ("VIDEO-RANGE=SDR", "VIDEO-RANGE=HDR"),
        (",AUDIO=\"audio\"", ""),
        (",SUBTITLES=\"text\"", ""),
        (",CHANNELS=\"2\"", ""),
        (",LANGUAGE=\"en\"", ""),
        (",FORCED=NO", ""),
        ("DEFAULT=YES", "DEFAULT=NO"),
        ("AUTOSELECT=YES", "AUTOSELECT=NO"),
        ("URI=\"a\"", "URI=\"b\""),
        ("URI=\"k\"", "URI=\"v\""),
        ("URI=\"t\"", "URI=\"u\""),
    ] {
        broken("m", from, to);
    }
    let twice = |text: &str| {
        let line = text.lines().find(|line| line.contains("TYPE=AUDIO")).unwrap();
        text.replace(line, &format!("{line}\n{line}"))
    };
    assert_eq!(after("m", twice).len(), 3, "name, choice and default");
}

#[test]
fn what_grows_begins_at_the_start_and_has_no_end() {
    let growing = |text: &str| {
        text.replace(":VOD\n", ":EVENT\n#EXT-X-START:TIME-OFFSET=0.001\n")
            .replace("#EXT-X-ENDLIST\n", "")
    };
    let master = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n\
                  #EXT-X-STREAM-INF:BANDWIDTH=2,AVERAGE-BANDWIDTH=1,CODECS=\"mp4a.40.2\"\na\n";
    assert_eq!(violations("m", &[("m", master), ("a", &growing(MEDIA))]), [""; 0]);
    for begins in ["", "#EXT-X-START:TIME-OFFSET=0\n", "#EXT-X-START:TIME-OFFSET=-4\n"] {
        let elsewhere = growing(MEDIA).replace("#EXT-X-START:TIME-OFFSET=0.001\n", begins);
        assert_ne!(
            violations("m", &[("m", master), ("a", &elsewhere)]),
            [""; 0],
            "{begins}"
        );
    }
    assert_ne!(after("v", growing), [""; 0], "the others don't grow");
}
