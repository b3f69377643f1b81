// What hls.js tells as errors that aren't: a load given up because it was told to play another rung or language, and a wait,
// of which the element tells too.
const benign = [Hls.ErrorDetails.INTERNAL_ABORTED, Hls.ErrorDetails.BUFFER_STALLED_ERROR]

// How long it leaves a picture that doesn't move alone, in seconds: on a busy machine some take long to be shown.
const STILL_MAX = 60

// hls.js, as page.js drives it. It looks only a little ahead, so that a change of rung in the middle matters.
window.open_player = async (video, url, on_error) => {
  const hls = new Hls({ maxBufferLength: 4, maxMaxBufferLength: 4, backBufferLength: 90, highBufferWatchdogPeriod: STILL_MAX })
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (benign.includes(data.details)) return
    on_error(`${data.type} ${data.details} ${data.error ?? ''}`)
  })
  hls.loadSource(url)
  hls.attachMedia(video)
  return {
    rungs: () => hls.levels.map((level) => level.height),
    rung: (height) => { hls.loadLevel = hls.levels.findIndex((level) => level.height === height) },
    languages: () => hls.audioTracks.map((track) => track.lang),
    language: (wanted) => { hls.audioTrack = hls.audioTracks.findIndex((track) => track.lang === wanted) },
    texts: () => hls.subtitleTracks.map((track) => track.lang),
    show_text: (wanted) => {
      hls.subtitleTrack = hls.subtitleTracks.findIndex((track) => track.lang === wanted)
      hls.subtitleDisplay = true
    },
    // It tells of those as errors.
    jumps: () => 0,
    close: () => hls.destroy(),
  }
}
