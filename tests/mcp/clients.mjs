// The official clients of both generations ask a server of `tidings mcp`, over stdio and over HTTP, in every revision of the
// protocol that they speak. Arguments: the command's file, a folder with a log of events, and the URL and token of a server
// of that log. Prints a line for each check, `ok` or `FAILED`.
import * as second from "@modelcontextprotocol/client"
import { StdioClientTransport as SecondStdio } from "@modelcontextprotocol/client/stdio"
import { Client as FirstClient } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport as FirstStdio } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport as FirstHttp } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js"
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"

const [command, home, url, token] = process.argv.slice(2)

/** The revisions with an initialize, which both generations speak. */
const SESSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
const STATELESS = "2026-07-28"
const INFO = { name: "tidings-test", version: "1.0.0" }
const stdioParameters = {
  command: process.execPath,
  args: [command, "mcp", "--backend", "filesystem"],
  cwd: home,
  env: { HOME: home }
}
const httpOptions = { requestInit: { headers: { authorization: `Bearer ${token}` } } }

const emit = async (...args) => {
  const child = spawn(process.execPath, [command, "emit", ...args, "--backend", "filesystem"], {
    cwd: home,
    env: { ...process.env, HOME: home },
    stdio: ["ignore", "ignore", "inherit"]
  })
  const [code] = await once(child, "close")
  assert.equal(code, 0)
}

/** The first generation always asks for the newest revision that it knows, so the request is rewritten on its way. */
const asking = (transport, revision) => {
  const send = transport.send.bind(transport)
  transport.send = (message, options) =>
    send(
      message.method === "initialize"
        ? { ...message, params: { ...message.params, protocolVersion: revision } }
        : message,
      options
    )
  return transport
}

const revisionOf = (transport) => {
  const set = transport.setProtocolVersion?.bind(transport)
  const seen = { revision: undefined }
  transport.setProtocolVersion = (revision) => {
    seen.revision = revision
    set?.(revision)
  }
  return seen
}

const first = (over, revision) => ({
  name: `the client 1.32 over ${over} in ${revision}`,
  revision,
  over,
  open: async (updated) => {
    const transport = asking(
      over === "stdio" ? new FirstStdio(stdioParameters) : new FirstHttp(new URL(url), httpOptions),
      revision
    )
    const seen = revisionOf(transport)
    const client = new FirstClient(INFO)
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => updated(params.uri))
    await client.connect(transport)
    assert.equal(seen.revision, revision)
    return {
      client,
      call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options)
    }
  }
})

const later = (over, revision) => ({
  name: `the client 2.4 over ${over} in ${revision}`,
  revision,
  over,
  open: async (updated) => {
    const transport =
      over === "stdio"
        ? new SecondStdio(stdioParameters)
        : new second.StreamableHTTPClientTransport(new URL(url), httpOptions)
    const client = new second.Client(
      INFO,
      revision === STATELESS
        ? { versionNegotiation: { mode: { pin: STATELESS } } }
        : { supportedProtocolVersions: [revision] }
    )
    client.setNotificationHandler("notifications/resources/updated", ({ params }) => updated(params.uri))
    await client.connect(transport)
    assert.equal(client.getNegotiatedProtocolVersion(), revision)
    return { client, call: (name, args, options) => client.callTool({ name, arguments: args }, options) }
  }
})

const within = (promise, milliseconds, what) =>
  Promise.race([
    promise,
    new Promise((_, reject) =>
      setTimeout(() => reject(new Error(`${what}: not within ${milliseconds} ms`)), milliseconds).unref()
    )
  ])

const check = async (name, test) => {
  try {
    await within(test(), 60_000, name)
    console.log(`ok      ${name}`)
  } catch (error) {
    console.log(`FAILED  ${name}\n${error.stack ?? error}`)
  }
}

let numbered = 0

const scenario = async ({ name, open, over, revision }) => {
  const updates = []
  let updated = () => {}
  let connection
  await check(`${name} connects`, async () => {
    connection = await open((uri) => {
      updates.push(uri)
      updated()
    })
  })
  if (connection === undefined) return
  const { call, client } = connection
  try {
    await check(`${name} lists the tools`, async () => {
      const { tools } = await client.listTools()
      assert.deepEqual(
        tools.map((tool) => tool.name),
        ["events", "event_summary"]
      )
    })
    await check(`${name} calls events and event_summary`, async () => {
      const found = await call("events", { resourceType: "Workflow", resourceName: "deploy" })
      assert.match(found.content[0].text, /WorkflowExecuted/)
      // Structured content came with 2025-06-18.
      if (revision >= "2025-06-18") assert.equal(found.structuredContent.totalCount, 1)
      const summary = await call("event_summary", { resourceType: "Workflow" })
      assert.match(summary.content[0].text, /WorkflowExecuted/)
      assert.notEqual(summary.isError, true)
    })
    await check(`${name} is told of a bad argument by the tool`, async () => {
      const refused = await call("events", { resourcetype: "Workflow" })
      assert.equal(refused.isError, true)
      assert.match(refused.content[0].text, /resourceType/)
    })
    const cursorOf = ({ content, structuredContent }) =>
      structuredContent?.cursor ?? /cursor:? (\S+)/.exec(content[0].text)[1]
    await check(`${name} follows with after and waitSeconds`, async () => {
      const pod = `web-${numbered++}`
      const cursor = cursorOf(await call("events", { resourceName: pod }))
      const waiting = call("events", { after: cursor, waitSeconds: 30, resourceName: pod })
      await emit(`Pod/${pod}`, "BackOff", "restarting failed container", "--type", "Warning")
      const { content } = await within(waiting, 10_000, "the answer")
      assert.match(content[0].text, /restarting failed container/)
    })
    await check(`${name} cancels a wait and asks on`, async () => {
      const cursor = cursorOf(await call("events", { limit: 1 }))
      const abort = new AbortController()
      const waiting = call("events", { after: cursor, waitSeconds: 50 }, { signal: abort.signal })
      setTimeout(() => abort.abort(new Error("enough")), 200)
      await assert.rejects(within(waiting, 5_000, "the end of the wait"))
      const found = await within(call("events", { limit: 1 }), 5_000, "the next answer")
      assert.notEqual(found.isError, true)
    })
    await check(`${name} reads a resource`, async () => {
      const { contents } = await client.readResource({ uri: "events://Workflow/default/deploy" })
      assert.match(contents[0].text, /WorkflowExecuted/)
    })
    await check(`${name} gets the prompt why`, async () => {
      const { messages } = await client.getPrompt({
        name: "why",
        arguments: { resourceType: "Workflow", resourceName: "deploy" }
      })
      assert.match(messages[0].content.text, /Workflow deploy/)
    })
    // Over HTTP the revisions with sessions have no subscriptions here: their clients follow with after and waitSeconds.
    if (over === "http" && revision !== STATELESS) {
      await check(`${name} is told that there are no subscriptions`, async () => {
        await assert.rejects(client.subscribeResource({ uri: "events://Pod/default/none" }))
      })
    } else {
      await check(`${name} is told of a new event of a resource within a second`, async () => {
        const pod = `subscribed-${numbered++}`
        const uri = `events://Pod/default/${pod}`
        const told = new Promise((resolve) => {
          updated = () => {
            if (updates.includes(uri)) resolve(performance.now())
          }
        })
        const subscription =
          revision === STATELESS
            ? await client.listen({ resourceSubscriptions: [uri] })
            : await client.subscribeResource({ uri })
        await emit(`Pod/${pod}`, "BackOff", "restarting failed container", "--type", "Warning")
        const recorded = performance.now()
        assert.ok((await within(told, 5_000, "the notification")) - recorded < 1_000)
        await subscription.close?.()
      })
    }
  } finally {
    await client.close().catch(() => {})
  }
}

for (const over of ["stdio", "http"]) {
  for (const revision of SESSIONS) {
    await scenario(first(over, revision))
    await scenario(later(over, revision))
  }
  await scenario(later(over, STATELESS))
}

for (const [what, authorization] of [
  ["without a token", undefined],
  ["with a wrong token", "Bearer wrong-token"]
]) {
  const requestInit = authorization === undefined ? {} : { headers: { authorization } }
  await check(`the client 1.32 ${what} is answered with 401`, async () => {
    await assert.rejects(new FirstClient(INFO).connect(new FirstHttp(new URL(url), { requestInit })), (error) =>
      /401/.test(`${error.code} ${error.message}`)
    )
  })
  await check(`the client 2.4 ${what} is answered with 401`, async () => {
    const transport = new second.StreamableHTTPClientTransport(new URL(url), { requestInit })
    await assert.rejects(new second.Client(INFO).connect(transport), (error) =>
      /401|Unauthorized/i.test(`${error.code} ${error.status} ${error.message}`)
    )
  })
}
await check("a page of a foreign origin is refused", async () => {
  const headers = { ...httpOptions.requestInit.headers, origin: "https://evil.example" }
  await assert.rejects(
    new FirstClient(INFO).connect(new FirstHttp(new URL(url), { requestInit: { headers } })),
    (error) => /403|may not ask/.test(`${error.code} ${error.message}`)
  )
})
process.exit(0)
