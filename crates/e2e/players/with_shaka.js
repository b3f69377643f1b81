// What is kept of the old language, in seconds: two segments, as Shaka advises against a wait.
const LANGUAGE_KEPT = 8

// Shaka Player, as page.js drives it. It looks only a little ahead, so that a change of rung in the middle matters.
window.open_player = async (video, url, on_error) => {
  shaka.polyfill.installAll()
  const tell = (error) => on_error(`${error.severity} ${error.category} ${error.code} ${error.data}`)
  const player = new shaka.Player()
  player.addEventListener('error', (event) => tell(event.detail))
  player.configure({
    abr: { enabled: false },
    // On a busy machine a picture may take a second to be shown: that is no reason to push the player on.
    streaming: { bufferingGoal: 4, rebufferingGoal: 0.5, bufferBehind: 90, stallEnabled: false },
    textDisplayFactory: () => new shaka.text.NativeTextDisplayer(player),
  })
  await player.attach(video)
  await player.load(url).catch(tell)
  return {
    rungs: () => [...new Set(player.getVariantTracks().map((track) => track.height))].sort((a, b) => a - b),
    rung: (height) => {
      const now = player.getVariantTracks().find((track) => track.active)
      const wanted = player.getVariantTracks().find((track) => track.height === height && track.language === now.language)
      player.selectVariantTrack(wanted)
    },
    languages: () => player.getAudioTracks().map((track) => track.language),
    language: (wanted) => player.selectAudioTrack(player.getAudioTracks().find((track) => track.language === wanted), LANGUAGE_KEPT),
    texts: () => player.getTextTracks().map((track) => track.language),
    show_text: (wanted) => player.selectTextTrack(player.getTextTracks().find((track) => track.language === wanted)),
    // Holes that it skipped.
    jumps: () => player.getStats().gapsJumped,
    close: () => player.destroy(),
  }
}
