// Plays something in a headless Chromium, on a page of another origin.
//
//   drive.mjs PLAYER SCENARIO URL
//
// PLAYER is hls or shaka, SCENARIO one of those in page.js. Prints a line when it plays, and as the last one JSON: what the page saw.
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { launch } from '../chromium.mjs'

const [player, scenario, url] = process.argv.slice(2)
const installed = path.join(process.env.NODE_DIR, 'node_modules')
const libraries = { hls: 'hls.js/dist/hls.js', shaka: 'shaka-player/dist/shaka-player.compiled.debug.js' }
const here = path.dirname(fileURLToPath(import.meta.url))
const files = {
  '/library.js': path.join(installed, libraries[player]),
  '/player.js': path.join(here, `with_${player}.js`),
  '/page.js': path.join(here, 'page.js'),
}
const scripts = Object.keys(files).map((name) => `<script src="${name}"></script>`).join('')
const page_server = http.createServer(async (request, response) => {
  if (request.url === '/') {
    response.writeHead(200, { 'content-type': 'text/html' }).end(`<video muted width="640"></video>${scripts}`)
  } else if (files[request.url]) {
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(await readFile(files[request.url]))
  } else {
    response.writeHead(404).end()
  }
})
await new Promise((resolve) => page_server.listen(0, '127.0.0.1', resolve))

const browser = await launch({ args: ['--autoplay-policy=no-user-gesture-required'], protocolTimeout: 230000 })
try {
  const page = await browser.newPage()
  page.on('pageerror', (error) => console.error(error))
  await page.exposeFunction('say', (line) => console.log(line))
  await page.goto(`http://127.0.0.1:${page_server.address().port}/`)
  console.log(JSON.stringify(await page.evaluate((scenario, url) => window.act(scenario, url), scenario, url)))
} finally {
  await browser.close()
  page_server.close()
}
