// The page: Uppy as its documentation sets it up. What it does is driven from outside.
import Uppy from '@uppy/core'
import Tus from '@uppy/tus'

window.begin = (endpoint, preset) => {
  const uppy = new Uppy({ autoProceed: true })
  uppy.use(Tus, { endpoint, chunkSize: 4 * 1024 * 1024, retryDelays: [0, 100, 300, 1000, 2000] })
  const told = { sent: 0, failed: [], retried: 0, url: null }
  uppy.on('upload-progress', (_, progress) => { told.sent = progress.bytesUploaded })
  uppy.on('upload-retry', () => { told.retried += 1 })
  uppy.on('upload-error', (_, error) => { told.failed.push(String(error)) })
  uppy.on('upload-success', (_, response) => { told.url = response.uploadURL })
  const input = document.querySelector('input')
  input.addEventListener('change', () => {
    const file = input.files[0]
    uppy.addFile({ name: file.name, type: file.type, data: file, meta: { filename: file.name, filetype: file.type, preset } })
  })
  window.told = told
}
