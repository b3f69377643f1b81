// Reads a result with parsers that others wrote: hls-parser (strict), mpd-parser and mp4box.
//
//   node check.mjs DIRECTORY
//
// NODE_DIR is where the packages are. It prints one line of JSON: what they complain about, and how many segments and samples
// they saw by playlist.

import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.env.NODE_DIR, 'package.json'));
const hls = require('hls-parser');
const mpd = require('mpd-parser');
const mp4 = require('mp4box');

const dir = process.argv[2];
const read = (name) => readFileSync(join(dir, name));
const complaints = [];
const seen = {};

hls.setOptions({ strictMode: true, silent: true });
for (const name of readdirSync(dir).filter((name) => name.endsWith('.m3u8'))) {
  attempt(name, () => playlist(name));
}
if (readdirSync(dir).includes('manifest.mpd')) {
  attempt('manifest.mpd', manifest);
}
console.log(JSON.stringify({ complaints, seen }));

function attempt(name, act) {
  try {
    act();
  } catch (error) {
    complaints.push(`${name}: ${error.message}`);
  }
}

function playlist(name) {
  const parsed = hls.parse(read(name).toString());
  if (parsed.isMasterPlaylist) {
    if (parsed.variants.length === 0) {
      throw new Error('no variants');
    }
    return;
  }
  const map = parsed.segments[0].map;
  seen[name] = { segments: parsed.segments.length, ...(map && !parsed.isIFrame ? samples(name, map.uri, parsed) : {}) };
}

// Feeds a track to mp4box as a player gets it.
function samples(name, init, parsed) {
  const file = mp4.createFile();
  let info;
  file.onReady = (found) => {
    info = found;
    found.tracks.forEach((track) => file.setExtractionOptions(track.id, null, { nbSamples: 1_000_000 }));
    file.start();
  };
  file.onError = (kind, message) => complaints.push(`${name}: ${kind} ${message}`);
  let at = 0;
  for (const uri of [init, ...parsed.segments.map((segment) => segment.uri)]) {
    const bytes = read(uri);
    const buffer = new Uint8Array(bytes).buffer;
    buffer.fileStart = at;
    at += bytes.length;
    file.appendBuffer(buffer);
  }
  file.flush();
  const [track] = info.tracks;
  return { samples: file.getTrackSamplesInfo(track.id).length, codec: track.codec, tracks: info.tracks.length };
}

function manifest() {
  const warnings = [];
  const parsed = mpd.parse(read('manifest.mpd').toString(), {
    manifestUri: 'http://localhost/manifest.mpd',
    eventHandler: ({ type, message }) => warnings.push(`${type}: ${message}`),
  });
  complaints.push(...warnings.map((warning) => `manifest.mpd: ${warning}`));
  const groups = Object.values(parsed.mediaGroups.AUDIO).flatMap((group) => Object.values(group));
  const sound = groups.flatMap((group) => group.playlists);
  for (const { attributes, segments } of [...parsed.playlists, ...sound]) {
    seen[`manifest.mpd ${attributes.NAME}`] = { segments: segments.length, codec: attributes.CODECS };
  }
}
