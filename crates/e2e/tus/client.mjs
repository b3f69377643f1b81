// Uploads a file with tus-js-client in every way that it knows. Prints a line of JSON for each: where the upload is, and what was
// asked of the server.
//
//   node client.mjs ENDPOINT FILE
//
// NODE_DIR is where tus-js-client is installed.
import { createReadStream, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import path from 'node:path'
import { Readable } from 'node:stream'

const tus = createRequire(path.join(process.env.NODE_DIR, 'package.json'))('tus-js-client')
const [endpoint, file] = process.argv.slice(2)
const whole = readFileSync(file)
const MIB = 1 << 20
const metadata = { filename: 'wörld.bin', filetype: 'application/x-test', preset: 'none' }
const retryDelays = [50, 100, 200, 400, 800]

// Uploads; tells the URL and the requests.
function upload(name, source, options) {
  const asked = []
  return new Promise((resolve, reject) => {
    const it = new tus.Upload(source, {
      endpoint,
      metadata,
      retryDelays,
      onAfterResponse(request, response) {
        asked.push({ method: request.getMethod(), status: response.getStatus(), offset: response.getHeader('Upload-Offset') })
      },
      onError: reject,
      onSuccess: () => resolve({ name, url: it.url, asked }),
      ...options,
    })
    it.start()
  })
}

// A way to the server that breaks once, after so many bytes.
function breaking(after) {
  const { hostname, port } = new URL(endpoint)
  let left = after
  let isBroken = false
  const server = net.createServer((client) => {
    const onwards = net.connect(Number(port), hostname)
    const cut = () => [client, onwards].forEach((socket) => socket.destroy())
    client.on('data', (data) => {
      left -= data.length
      onwards.write(data)
      if (left > 0 || isBroken) return
      isBroken = true
      client.pause()
      // What was handed on arrives all the same.
      setTimeout(cut, 100)
    })
    onwards.on('data', (data) => client.write(data))
    for (const socket of [client, onwards]) socket.on('close', cut).on('error', cut)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ url: `http://127.0.0.1:${server.address().port}/files/`, server }))
  })
}

const ways = {
  create: () => upload('create', whole, {}),
  chunks: () => upload('chunks', whole, { chunkSize: MIB }),
  async resume() {
    const way = await breaking(3 * MIB)
    const told = await upload('resume', whole, { endpoint: way.url })
    way.server.close()
    return told
  },
  parallel: () => upload('parallel', whole, { parallelUploads: 4 }),
  // Of a file the client would know the length.
  deferred: () =>
    upload('deferred', Readable.from(createReadStream(file), { objectMode: false }), {
      uploadLengthDeferred: true,
      chunkSize: MIB,
    }),
  withUpload: () => upload('withUpload', whole, { uploadDataDuringCreation: true }),
  override: () => upload('override', whole, { overridePatchMethod: true, chunkSize: MIB }),
  async terminate() {
    const told = await upload('terminate', whole, {})
    await tus.Upload.terminate(told.url)
    return told
  },
}

for (const way of Object.values(ways)) {
  console.log(JSON.stringify(await way()))
}
