// tidings mcp as clients run it: a child that speaks JSON lines, and a server that many ask over HTTP.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"

const bin = join(import.meta.dirname, "..", "bin", "tidings.mjs")

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tidings-mcp-"))
  await emit("Workflow/deploy", "WorkflowExecuted", "--namespace", "default")
})
afterAll(() => rm(home, { recursive: true, force: true }))

const env = { PATH: process.env["PATH"], TZ: "UTC" }

const start = (...args: ReadonlyArray<string>): ChildProcess =>
  spawn(process.execPath, [bin, ...args, "--backend", "filesystem"], { cwd: home, env: { ...env, HOME: home } })

const emit = async (...args: ReadonlyArray<string>) => {
  const [code] = (await once(start("emit", ...args), "close")) as [number]
  assert.strictEqual(code, 0)
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: { readonly [field: string]: unknown }
  readonly result?: { readonly [field: string]: any }
}

/** A client that writes and reads JSON lines. */
class Client {
  readonly notified: Array<Message> = []
  readonly child: ChildProcess
  private readonly waiting = new Map<number, (message: Message) => void>()
  private next = 1
  private rest = ""

  constructor(...args: ReadonlyArray<string>) {
    this.child = start("mcp", ...args)
    this.child.stdout!.on("data", (chunk: Buffer) => {
      const lines = (this.rest + chunk.toString()).split("\n")
      this.rest = lines.pop()!
      for (const line of lines) this.take(JSON.parse(line) as Message)
    })
  }

  private take(message: Message): void {
    if (message.id === undefined) this.notified.push(message)
    else this.waiting.get(message.id)?.(message)
  }

  send(message: object): void {
    this.child.stdin!.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
  }

  ask(method: string, params: object = {}): Promise<Message> {
    const id = this.next++
    return new Promise((resolve) => {
      this.waiting.set(id, resolve)
      this.send({ id, method, params })
    })
  }

  async open(): Promise<this> {
    await this.ask("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "test", version: "1" }
    })
    this.send({ method: "notifications/initialized" })
    return this
  }

  async call(name: string, args: object = {}): Promise<{ readonly [field: string]: any }> {
    const { result } = await this.ask("tools/call", { name, arguments: args })
    return result!["structuredContent"] as { readonly [field: string]: any }
  }

  async end(): Promise<number | null> {
    this.child.stdin!.end()
    const [code] = (await once(this.child, "close")) as [number | null]
    return code
  }
}

const post = (url: string, headers: { readonly [name: string]: string }, body: object) =>
  new Promise<{
    readonly status: number
    readonly headers: { readonly [name: string]: unknown }
    readonly text: string
  }>((resolve, reject) => {
    const sent = request(
      url,
      {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers }
      },
      (response) => {
        let text = ""
        response.on("data", (chunk: Buffer) => (text += chunk.toString()))
        response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, text }))
      }
    )
    sent.on("error", reject)
    sent.end(JSON.stringify({ jsonrpc: "2.0", ...body }))
  })

describe("tidings mcp on stdin and stdout", () => {
  it("answers JSON lines with nothing else on stdout, and ends with its input", async () => {
    const client = await new Client().open()
    const { result } = await client.ask("tools/list")
    assert.deepStrictEqual(
      (result!["tools"] as ReadonlyArray<{ readonly name: string }>).map(({ name }) => name),
      ["events", "event_summary"]
    )
    const found = await client.call("events", { resourceType: "workflows" })
    assert.strictEqual(found["totalCount"], 1)
    assert.strictEqual(found["events"][0]["resourceName"], "deploy")
    assert.strictEqual(await client.end(), 0)
  })

  it("answers a call that waits when another process records, and tells a subscriber", async () => {
    const client = await new Client().open()
    await client.ask("resources/subscribe", { uri: "events://Pod/default/web" })
    const { cursor } = await client.call("events")
    const waiting = client.call("events", { after: cursor, waitSeconds: 25 })
    await emit("Pod/web", "BackOff", "restarting", "--type", "Warning")
    const recorded = performance.now()
    const found = await waiting
    assert.deepStrictEqual([found["totalCount"], found["events"][0]["message"]], [1, "restarting"])
    while (client.notified.length === 0 && performance.now() - recorded < 5_000) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.deepStrictEqual(
      client.notified.map(({ method, params }) => [method, params?.["uri"]]),
      [["notifications/resources/updated", "events://Pod/default/web"]]
    )
    assert.strictEqual(await client.end(), 0)
  })

  it("pushes what comes after a call with follow, with the filter of the call, until the next one", async () => {
    const client = await new Client().open()
    const first = await client.call("events", { eventType: "Warning", resourceType: "Pod", follow: true })
    assert.match(first["notes"].join("\n"), /pushed as notifications\/message of the logger tidings\/events/)
    await emit("Pod/other", "Started", "it runs")
    await emit("Pod/web", "Killing", "stopping", "--type", "Warning")
    while (client.notified.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    const { method, params } = client.notified[0]! as { readonly method: string; readonly params: any }
    assert.deepStrictEqual(
      [method, params.level, params.logger],
      ["notifications/message", "warning", "tidings/events"]
    )
    assert.deepStrictEqual(
      params.data.events.map((event: { readonly message: string }) => event.message),
      ["stopping"]
    )
    await client.end()
  })

  it("records only with --allow-record", async () => {
    const client = await new Client("--allow-record").open()
    const args = { resourceType: "pod", resourceName: "db", reason: "Checked", message: "it runs" }
    assert.strictEqual((await client.call("record_event", args))["outcome"], "recorded")
    const found = await client.call("events", { resourceName: "db" })
    assert.deepInclude(found["events"][0], { namespace: "default", resourceType: "Pod", source: "tidings" })
    await client.end()
  })

  it("ends with 143 at SIGTERM, also while a call waits", async () => {
    const client = await new Client().open()
    const { cursor } = await client.call("events")
    void client.call("events", { after: cursor, waitSeconds: 50 })
    await client.ask("ping")
    client.child.kill("SIGTERM")
    const [code] = (await once(client.child, "close")) as [number | null]
    assert.strictEqual(code, 143)
  })
})

describe("tidings mcp --http", () => {
  const serve = async (...args: ReadonlyArray<string>) => {
    const child = start("mcp", "--http", "0", ...args)
    let said = ""
    child.stderr!.on("data", (chunk: Buffer) => (said += chunk.toString()))
    const until = async (expected: RegExp): Promise<string> => {
      for (;;) {
        const match = expected.exec(said)
        if (match !== null) return match[1] ?? match[0]
        assert.isNull(child.exitCode, said)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
    return { child, until, url: await until(/serving at (http:\S+\/mcp);/) }
  }

  const open = async (url: string, headers: { readonly [name: string]: string }) => {
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } }
    const answer = await post(url, headers, { id: 1, method: "initialize", params })
    assert.strictEqual(answer.status, 200, answer.text)
    const session = { ...headers, "mcp-session-id": String(answer.headers["mcp-session-id"]) }
    await post(url, session, { method: "notifications/initialized" })
    return session
  }

  const call = async (url: string, session: { readonly [name: string]: string }, args: object) => {
    const { text } = await post(url, session, {
      id: 2,
      method: "tools/call",
      params: { name: "events", arguments: args }
    })
    return (JSON.parse(text.replace(/^data: /m, "").replace(/^event: .*\n/m, "")) as Message).result![
      "structuredContent"
    ] as {
      readonly [field: string]: any
    }
  }

  it("lets in who has the token that it printed once, from this machine, and nobody else", async () => {
    const { child, until, url } = await serve()
    const token = await until(/token: (\S+)/)
    const headers = { authorization: `Bearer ${token}` }
    const list = { id: 1, method: "tools/list" }
    assert.strictEqual((await post(url, {}, list)).status, 401)
    const elsewhere = await post(new URL("/", url).href, {}, list)
    assert.deepStrictEqual([elsewhere.status, elsewhere.text], [404, "Not found: the endpoint is /mcp\n"])
    assert.strictEqual((await post(url, { authorization: `Bearer ${token}x` }, list)).status, 401)
    assert.strictEqual((await post(url, { ...headers, host: "rebound.example" }, list)).status, 403)
    for (const origin of ["https://evil.example", "http://localhost.evil.example", "null"]) {
      assert.strictEqual((await post(url, { ...headers, origin }, list)).status, 403, origin)
    }
    for (const origin of ["http://localhost:6274", "http://127.0.0.1", "http://[::1]:80"]) {
      const session = await open(url, { ...headers, origin })
      assert.isAbove((await call(url, session, {}))["totalCount"], 0)
    }
    child.kill("SIGINT")
    const [code] = (await once(child, "close")) as [number | null]
    assert.strictEqual(code, 130)
  })

  it("answers calls that wait before it ends at SIGTERM, with a cursor to go on with", async () => {
    const { child, url } = await serve("--no-token")
    const session = await open(url, {})
    const { cursor } = await call(url, session, {})
    const waiting = Promise.all(
      Array.from({ length: 20 }, () => call(url, session, { after: cursor, waitSeconds: 50 }))
    )
    await call(url, session, {})
    const before = performance.now()
    child.kill("SIGTERM")
    for (const answer of await waiting) assert.deepInclude(answer, { totalCount: 0, cursor })
    const [code] = (await once(child, "close")) as [number | null]
    assert.strictEqual(code, 143)
    assert.isBelow(performance.now() - before, 5_000)
  })

  it("says what is wrong with a command line, and with a port that is taken", async () => {
    const { child, url } = await serve("--token", "a-token-of-mine")
    const { port } = new URL(url)
    for (const [args, code, expected] of [
      [["--http", "x"], 2, /--http is "x", expected a port/],
      [["--token", "abcdefgh"], 2, /--token needs --http/],
      [["--http", "0", "--token", "short"], 2, /8 characters/],
      [["--http", "0", "--token", "abcdefgh", "--no-token"], 2, /contradict/],
      [["--http", "0", "--allow-origin", "evil"], 2, /expected an origin/],
      [["--http", port], 1, /another program listens there/]
    ] as const) {
      const other = start("mcp", ...args)
      let said = ""
      other.stderr!.on("data", (chunk: Buffer) => (said += chunk.toString()))
      const [exit] = (await once(other, "close")) as [number]
      assert.match(said, expected)
      assert.strictEqual(exit, code, args.join(" "))
    }
    child.kill("SIGTERM")
    await once(child, "close")
  })
})
