// Has parsers that know nothing of Reelway read a result: hls-parser, which refuses what breaks RFC 8216, mpd-parser, and mp4box.js.
//
//   judge.mjs HLS-URL DASH-URL
//
// Prints as its last line JSON: what they read. Anything that they complain about ends it with an error.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'

const require = createRequire(path.join(process.env.NODE_DIR, 'package.json'))
const HLS = require('hls-parser')
const mpd = require('mpd-parser')
const MP4Box = require('mp4box')

const [hls, dash] = process.argv.slice(2)
HLS.setOptions({ strictMode: true, silent: true })

async function get(url) {
  const answer = await fetch(url)
  assert.equal(answer.status, 200, url)
  return answer
}
const text = async (url) => (await get(url)).text()

// A judge who lets everything pass is none.
function refuses(playlist) {
  assert.throws(() => HLS.parse(playlist), playlist)
}

async function media(url) {
  const told = await text(url)
  const playlist = HLS.parse(told)
  assert.equal(playlist.playlistType, 'VOD', url)
  assert(playlist.endlist, url)
  refuses(told.replace(/#EXTINF:[0-9.]+/, '#EXTINF:99'))
  return { url, segments: playlist.segments.map(({ uri, duration, map, byterange }) => ({ uri, duration, map, byterange })) }
}

async function ofHls() {
  const told = await text(hls)
  const master = HLS.parse(told)
  refuses(told.replace(/(#EXT-X-STREAM-INF:.*AUDIO=)"[^"]*"/, '$1"nobody"'))
  const uris = new Set(master.variants.flatMap((variant) => [variant, ...variant.audio, ...variant.subtitles]).map(({ uri }) => uri))
  const playlists = await Promise.all([...uris].map((uri) => media(new URL(uri, hls).href)))
  const variants = master.variants.map(({ uri, isIFrameOnly, resolution, codecs }) => ({ uri, isIFrameOnly, resolution, codecs }))
  return { variants, playlists }
}

async function ofDash() {
  const complaints = []
  const told = mpd.parse(await text(dash), { manifestUri: dash, eventHandler: ({ type, message }) => complaints.push(`${type}: ${message}`) })
  assert.deepEqual(complaints, [])
  const sounds = Object.values(told.mediaGroups.AUDIO.audio ?? {}).flatMap(({ playlists }) => playlists)
  const counted = ({ attributes, segments }) => ({ id: attributes.NAME, segments: segments.length })
  return { duration: told.duration, video: told.playlists.map(counted), audio: sounds.map(counted) }
}

// The samples of a rendition, as mp4box.js finds them in its header and all of its segments.
async function samples({ url, segments }) {
  const file = MP4Box.createFile()
  file.onError = (module, message) => assert.fail(`${url}: ${module}: ${message}`)
  let offset = 0
  for (const uri of [segments[0].map.uri, ...segments.map((segment) => segment.uri)]) {
    const bytes = await (await get(new URL(uri, url))).arrayBuffer()
    bytes.fileStart = offset
    offset += bytes.byteLength
    file.appendBuffer(bytes)
  }
  file.flush()
  const { tracks, isFragmented } = file.getInfo()
  assert(isFragmented && tracks.length === 1, url)
  const found = file.getTrackSamplesInfo(tracks[0].id)
  const decode_times_rise = found.every((sample, i) => i === 0 || sample.dts > found[i - 1].dts)
  const whole = found.reduce((sum, sample) => sum + sample.duration, 0) / tracks[0].timescale
  return { url, codec: tracks[0].codec, samples: found.length, begins_with_sync: found[0].is_sync, decode_times_rise, seconds: whole }
}

const read = { hls: await ofHls(), dash: await ofDash() }
const inFiles = read.hls.playlists.filter(({ segments }) => segments[0].map && !segments[0].byterange)
read.files = await Promise.all(inFiles.map(samples))
for (const playlist of read.hls.playlists) {
  playlist.seconds = playlist.segments.reduce((sum, { duration }) => sum + duration, 0)
  playlist.segments = playlist.segments.length
}
console.log(JSON.stringify(read))
