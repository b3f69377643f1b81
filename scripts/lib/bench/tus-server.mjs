// @tus/server over a directory: tus-server.mjs PACKAGES PORT DIRECTORY
import { createRequire } from 'node:module'
import path from 'node:path'

const [packages, port, directory] = process.argv.slice(2)
const modules = createRequire(path.join(packages, 'package.json'))
const { Server } = await import(modules.resolve('@tus/server'))
const { FileStore } = await import(modules.resolve('@tus/file-store'))

new Server({ path: '/files', datastore: new FileStore({ directory }) }).listen({ host: '127.0.0.1', port: Number(port) })
