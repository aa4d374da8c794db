/**
 * What the API server had: every change of an event, as a watch of its etcd shows it. The watch is opened before anything is
 * written, goes to etcd itself, and is not disturbed.
 */
import { request } from "node:http"

export interface Truth {
  /** When the watch showed each state of an event, in microseconds, by its key. */
  readonly states: ReadonlyMap<string, number>
  /** The revision that etcd has reached, as far as the watch shows. */
  readonly revision: () => number
  readonly close: () => void
}

/** The key of a state, by the uid of its event and its resourceVersion. */
export const keyOf = (uid: string, version: string): string => `${uid} ${version}`

const base64 = (text: string): string => Buffer.from(text).toString("base64")

interface Shown {
  readonly result?: {
    readonly header?: { readonly revision?: string }
    readonly created?: boolean
    readonly canceled?: boolean
    readonly cancel_reason?: string
    readonly events?: ReadonlyArray<{
      readonly type?: string
      readonly kv: { readonly value?: string; readonly mod_revision: string }
    }>
  }
}

const call = (port: number, path: string, body: object): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, method: "POST", agent: false }, (response) => {
      let text = ""
      response.on("data", (chunk: Buffer) => (text += chunk.toString()))
      response.on("end", () => resolve(text))
    })
    sent.on("error", reject)
    sent.end(JSON.stringify(body))
  })

/** Discards the history of etcd up to a revision. */
export const compact = (port: number, revision: number): Promise<string> =>
  call(port, "/v3/kv/compaction", { revision: String(revision), physical: true })

/** Opens the watch; resolves when it sees what is written from then on. */
export const watch = (port: number): Promise<Truth> =>
  new Promise((resolve, reject) => {
    const states = new Map<string, number>()
    let revision = 0
    const sent = request({ host: "127.0.0.1", port, path: "/v3/watch", method: "POST", agent: false }, (response) => {
      let rest = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        const lines = (rest + chunk).split("\n")
        rest = lines.pop() ?? ""
        for (const line of lines) {
          if (line === "") continue
          const { result } = JSON.parse(line) as Shown
          if (result?.canceled === true) throw new Error(`the watch of etcd ended: ${result.cancel_reason}`)
          revision = Math.max(revision, Number(result?.header?.revision ?? 0))
          if (result?.created === true) resolve({ states, revision: () => revision, close: () => sent.destroy() })
          const at = Date.now() * 1_000
          for (const { kv, type } of result?.events ?? []) {
            if (type === "DELETE" || kv.value === undefined) continue
            const object = JSON.parse(Buffer.from(kv.value, "base64").toString()) as {
              readonly metadata: { readonly uid: string }
            }
            states.set(keyOf(object.metadata.uid, kv.mod_revision), at)
          }
        }
      })
      response.on("error", () => undefined)
    })
    sent.on("error", reject)
    sent.end(
      JSON.stringify({
        create_request: { key: base64("/registry/events/"), range_end: base64("/registry/events0") }
      })
    )
  })
