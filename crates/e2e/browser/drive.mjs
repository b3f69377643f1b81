// Drives a page with Uppy in a headless Chromium: a file is dropped, the line is cut in the middle and comes back.
//
//   drive.mjs PAGE_PORT ENDPOINT FILE
//
// Prints one line of JSON: what Uppy told. The page has an origin of its own, so the server's CORS answers count.
import http from 'node:http'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { launch, packages } from '../chromium.mjs'

const [port, endpoint, file] = process.argv.slice(2)
const esbuild = packages('esbuild')
const here = path.dirname(fileURLToPath(import.meta.url))

const bundle = await esbuild.build({
  entryPoints: [path.join(here, 'page.js')],
  bundle: true,
  write: false,
  format: 'iife',
  logLevel: 'error',
  nodePaths: [path.join(process.env.NODE_DIR, 'node_modules')],
})
const script = bundle.outputFiles[0].text
const page_server = http.createServer((request, response) => {
  if (request.url === '/bundle.js') {
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(script)
  } else if (request.url === '/') {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<input type="file"><script src="/bundle.js"></script>')
  } else {
    response.writeHead(404).end()
  }
})
await new Promise((resolve) => page_server.listen(Number(port), '127.0.0.1', resolve))

const browser = await launch()
try {
  const page = await browser.newPage()
  page.on('pageerror', (error) => console.error(error))
  // Slow enough that the cut comes in the middle.
  await page.goto(`http://127.0.0.1:${port}/`)
  await page.emulateNetworkConditions({ upload: 4 * 1024 * 1024, download: 4 * 1024 * 1024, latency: 5 })
  await page.evaluate((endpoint) => window.begin(endpoint, 'fast'), endpoint)
  const input = await page.$('input')
  await input.uploadFile(file)
  await page.waitForFunction(() => window.told.sent > 5 * 1024 * 1024, { timeout: 30000, polling: 20 })
  const at = await page.evaluate(() => window.told.sent)
  await page.setOfflineMode(true)
  await new Promise((resolve) => setTimeout(resolve, 500))
  await page.setOfflineMode(false)
  await page.waitForFunction(() => window.told.url || window.told.failed.length, { timeout: 60000 })
  console.log(JSON.stringify({ cut_at: at, ...(await page.evaluate(() => window.told)) }))
} finally {
  await browser.close()
  page_server.close()
}
