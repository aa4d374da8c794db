#!/usr/bin/env bash
# Node 24.21.0: zstd is decompressed up to the end of the first frame, and what follows is left out without an error.
#
# A zstd file may have many frames: `cat a.zst b.zst`, a log that gets a frame for each flush, and the seekable format, which ends
# with a frame of metadata that decoders skip. The guess: `zlib.zstdDecompress` and `createZstdDecompress` read on, as `zstd -d`
# does, and as `zlib.gunzip` does with members of gzip. Seen: both end after the first frame, and succeed. Where a skippable frame
# comes first, the answer is empty. `fzstd` in the same process gives the whole text.
#
# Why it matters: a reader of compressed logs shows the first part of a file for all of it, and no error, size or checksum says so.
# Who reads zstd by Node has to find the frames, by a seek table or by their headers, and decompress one after the other.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 fzstd@0.1.1
cat >run.mjs <<'PROGRAM'
import { decompress } from "fzstd"
import { Readable } from "node:stream"
import * as zlib from "node:zlib"

const frames = [zlib.zstdCompressSync("first "), zlib.zstdCompressSync("second")]
// Magic number of skippable frames, length, content.
const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
const streamed = async (bytes) => {
  const chunks = []
  for await (const chunk of Readable.from([bytes]).pipe(zlib.createZstdDecompress())) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
const seen = {}
for (const [name, parts] of Object.entries({ frames, skippableFirst: [skippable, ...frames] })) {
  const bytes = Buffer.concat(parts)
  seen[name] = [
    zlib.zstdDecompressSync(bytes).toString(),
    await streamed(bytes),
    Buffer.from(decompress(bytes)).toString()
  ]
}
seen.gzipMembers = zlib.gunzipSync(Buffer.concat([zlib.gzipSync("first "), zlib.gzipSync("second")])).toString()
console.log(JSON.stringify(seen))
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"frames":["first ","first ","first second"],"skippableFirst":["","","first second"],"gzipMembers":"first second"}'
echo "node 24.21.0, at once, streamed, and by fzstd 0.1.1: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
