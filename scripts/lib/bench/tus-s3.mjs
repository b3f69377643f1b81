// @tus/server over a bucket: tus-s3.mjs PACKAGES PORT ENDPOINT BUCKET, with credentials in the environment
import { createRequire } from 'node:module'
import path from 'node:path'

const [packages, port, endpoint, bucket] = process.argv.slice(2)
const modules = createRequire(path.join(packages, 'package.json'))
const { Server } = await import(modules.resolve('@tus/server'))
const { S3Store } = await import(modules.resolve('@tus/s3-store'))

const datastore = new S3Store({
  partSize: 8 * 1024 * 1024,
  // Servers other than Amazon's may not keep tags.
  useTags: false,
  s3ClientConfig: { bucket, endpoint, forcePathStyle: true, region: process.env.AWS_REGION },
})
new Server({ path: '/files', datastore }).listen({ host: '127.0.0.1', port: Number(port) })
