"""Uploads a file with tuspy, each chunk with its SHA-1, stops in the middle, and goes on with another uploader.

    python client.py ENDPOINT FILE

Prints "stopped OFFSET", "resumed OFFSET" and "complete URL".
"""

import sys

from tusclient.client import TusClient

MIB = 1 << 20


def main(endpoint, file):
    client = TusClient(endpoint)
    # Without metadata tuspy sends an empty header.
    first = client.uploader(file, chunk_size=MIB, upload_checksum=True)
    first.upload(stop_at=2 * MIB)
    print("stopped", first.offset)
    second = client.uploader(file, chunk_size=MIB, upload_checksum=True, url=first.url)
    print("resumed", second.offset)
    second.upload()
    print("complete", second.url)
    named = client.uploader(file, chunk_size=3 * MIB, metadata={"filename": "a b.bin", "preset": "none"}, upload_checksum=True)
    named.upload()
    print("complete", named.url)


main(*sys.argv[1:])
