// A headless Chromium, driven by the puppeteer-core in NODE_DIR.
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

// What is installed in NODE_DIR.
export const packages = createRequire(pathToFileURL(path.join(process.env.NODE_DIR, 'package.json')))

export async function launch(options = {}) {
  const puppeteer = (await import(pathToFileURL(packages.resolve('puppeteer-core')))).default
  return puppeteer.launch({
    executablePath: execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim(),
    headless: true,
    ...options,
    args: ['--no-sandbox', '--disable-dev-shm-usage', ...(options.args ?? [])],
  })
}
