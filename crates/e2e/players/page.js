// What is done with a video element, whichever player feeds it, and what is seen meanwhile.
const video = document.querySelector('video')
const sizes = []
const told = { errors: [], holes: [], waits: [], words: [] }

// How long anything that is waited for may take while nothing moves, in milliseconds.
const WAIT_MAX = 60000
// A player that has more than this ahead has no reason to wait, in seconds.
const AHEAD_MAX = 1
// How long before the end a jump to the end lands, in seconds.
const BEFORE_END = 1

window.act = async (scenario, url) => {
  told.decodes = ['video/mp4; codecs="avc1.64001f"', 'audio/mp4; codecs="mp4a.40.2"'].every((type) => MediaSource.isTypeSupported(type))
  video.addEventListener('error', () => told.errors.push(`element: ${video.error.code} ${video.error.message}`))
  video.addEventListener('resize', () => sizes.push(`${video.videoWidth}x${video.videoHeight}`))
  try {
    await scenarios[scenario](url)
  } catch (error) {
    told.failed = `${error}`
  }
  told.fetched = performance.getEntriesByType('resource').map((entry) => entry.name)
  return told
}

const scenarios = {
  // From the beginning to the end, changing everything on the way; then, as another viewer, only the end.
  async through(url) {
    let player = await open(url)
    told.languages = player.languages()
    told.texts = player.texts()
    told.rungs = player.rungs()
    player.rung(told.rungs[0])
    player.show_text(told.texts[0])
    await play_to_end(player, async () => {
      // A rung counts when it is seen: what a player has ahead comes first.
      await until('the smallest rung', () => video.videoHeight === told.rungs[0])
      player.language(told.languages[1])
      player.rung(told.rungs.at(-1))
      await until('the largest rung', () => video.videoHeight === told.rungs.at(-1))
    })
    await player.close()

    player = await open(url)
    video.currentTime = video.duration - BEFORE_END
    await until('pictures from just before the end', () => !video.seeking)
    await video.play()
    await until('the end after a jump', () => video.ended)
    told.played_after_jump = ranges(video.played)
    await player.close()
  },

  // From the beginning to the end, leaving everything to the player.
  async untouched(url) {
    await play_to_end(await open(url))
  },
}

async function open(url) {
  const player = await window.open_player(video, url, (error) => told.errors.push(error))
  await until('something to play', () => video.readyState >= HTMLMediaElement.HAVE_METADATA)
  return player
}

// Plays from where the player begins, and tells how it went. Something may be done meanwhile.
async function play_to_end(player, meanwhile = async () => {}) {
  told.duration_at_first = video.duration
  video.addEventListener('timeupdate', look)
  await video.play()
  await window.say('it plays')
  video.addEventListener('waiting', wait)
  await meanwhile()
  await until('the end', () => video.ended)
  video.removeEventListener('waiting', wait)
  video.removeEventListener('timeupdate', look)
  told.ended_at = video.currentTime
  told.played = ranges(video.played)
  told.jumps = player.jumps()
  told.sizes = [...sizes]
}

// What is there to be played is in one piece, or a player would have to jump; and the words that are shown.
function look() {
  const there = ranges(video.buffered)
  if (there.length > 1) told.holes.push(there)
  for (const cue of [...video.textTracks].flatMap((track) => [...(track.activeCues ?? [])])) {
    if (!told.words.includes(cue.text)) told.words.push(cue.text)
  }
}

// A player that stops although it has something to play. One that has run dry waits for whoever encodes, sends or fetches.
function wait() {
  const at = video.currentTime
  if (ranges(video.buffered).some(([start, end]) => start <= at && at + AHEAD_MAX < end)) told.waits.push(at)
}

function ranges(time_ranges) {
  return Array.from({ length: time_ranges.length }, (_, i) => [time_ranges.start(i), time_ranges.end(i)])
}

async function until(what, holds) {
  let [at, end] = [video.currentTime, Date.now() + WAIT_MAX]
  while (!holds()) {
    // What goes on is slow and no more.
    if (video.currentTime !== at) [at, end] = [video.currentTime, Date.now() + WAIT_MAX]
    if (Date.now() > end) {
      const state = `at ${video.currentTime} of ${video.duration}, state ${video.readyState}, there ${JSON.stringify(ranges(video.buffered))}`
      throw new Error(`no sign of ${what}: ${state}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
