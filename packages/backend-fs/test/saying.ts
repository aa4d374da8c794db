import * as fs from "node:fs"

const never = new Int32Array(new SharedArrayBuffer(4))

/** Writes a line to the standard output of a process, at once, however slowly that is read. */
export const say = (text: string): void => {
  const bytes = Buffer.from(`${text}\n`)
  for (let from = 0; from < bytes.length;) {
    try {
      from += fs.writeSync(1, bytes, from)
    } catch (cause) {
      // The pipe is full while the test is busy.
      if (!(cause instanceof Error && "code" in cause && cause.code === "EAGAIN")) throw cause
      Atomics.wait(never, 0, 0, 1)
    }
  }
}
