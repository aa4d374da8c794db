/**
 * `mcp`: the events for agents, over the Model Context Protocol.
 *
 * @internal
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as session from "./session.ts"

/** Short enough to type, too long to guess, and of characters that a header takes. */
const TOKEN = /^[\x21-\x7e]{8,1024}$/

interface Names {
  readonly host: string
  readonly token: string
  readonly noToken: string
}

/** A backend of a host may have a flag `--token` or `--host` of its own, which comes first: then the server's is another one. */
const namesBeside = (taken: ReadonlySet<string>): Names => ({
  host: taken.has("host") ? "http-host" : "host",
  token: taken.has("token") ? "http-token" : "token",
  noToken: taken.has("token") || taken.has("no-token") ? "no-http-token" : "no-token"
})

const readToken = Effect.fnUntraced(function* (token: string | undefined, noToken: boolean, names: Names) {
  if (token !== undefined && noToken) {
    return yield* session.refuse(`--${names.token} and --${names.noToken} contradict each other: leave one out`)
  }
  if (noToken) return { _tag: "None" } as const
  const fromEnvironment = Option.getOrUndefined(yield* Config.option(Config.String("TIDINGS_TOKEN")))
  const wanted = token ?? (fromEnvironment === "" ? undefined : fromEnvironment)
  if (wanted === undefined) return { _tag: "Random" } as const
  if (!TOKEN.test(wanted)) {
    const where = token === undefined ? "TIDINGS_TOKEN" : `--${names.token}`
    return yield* session.refuse(`${where} is no token: it needs 8 characters or more, without blanks, of ASCII`)
  }
  return { _tag: "Given", token: wanted } as const
})

/**
 * `taken`: the names of the backend's flags.
 *
 * @internal
 */
export const mcp = (taken: ReadonlySet<string>) => {
  const names = namesBeside(taken)
  return Command.make(
    "mcp",
    {
      port: flags.port("http", "Serve over Streamable HTTP at /mcp of this port instead of stdin and stdout"),
      host: flags.text(names.host, {
        value: "ADDRESS",
        description: "With --http: listen there (default 127.0.0.1, which only this machine reaches)"
      }),
      allowedHosts: flags.texts("allow-host", {
        value: "NAME",
        description: "With --http: a name under which clients may ask, beside localhost"
      }),
      allowedOrigins: flags.texts("allow-origin", {
        value: "ORIGIN",
        description: "With --http: pages of this origin may ask, beside those of localhost"
      }),
      token: flags.text(names.token, {
        value: "TOKEN",
        description:
          "With --http: what clients have to bear (default TIDINGS_TOKEN, else a random one, printed on stderr)"
      }),
      noToken: flags.given(names.noToken, "With --http: every process on this machine may ask"),
      namespace: flags.text("namespace", {
        alias: "n",
        value: "NAMESPACE",
        description: "The namespace of calls that name none (default all)"
      }),
      allowRecord: flags.given("allow-record", "Let agents record events with the tool record_event")
    },
    Effect.fnUntraced(function* ({ allowRecord, allowedHosts, allowedOrigins, host, namespace, noToken, port, token }) {
      if (namespace === "") return yield* session.refuse("--namespace is empty: leave it out")
      const options = { namespace, allowRecord }
      if (port === undefined) {
        for (const [flag, isGiven] of Object.entries({
          [names.host]: host !== undefined,
          "allow-host": allowedHosts.length > 0,
          "allow-origin": allowedOrigins.length > 0,
          [names.token]: token !== undefined,
          [names.noToken]: noToken
        })) {
          if (isGiven) return yield* session.refuse(`--${flag} needs --http PORT: stdin and stdout have no such thing`)
        }
        // What speaks the protocol is as large as a third of the command, and no other verb needs it.
        const server = yield* Effect.promise(() => import("./mcpServer.ts"))
        return yield* server.stdio(options)
      }
      if (host === "") return yield* session.refuse(`--${names.host} is empty: leave it out`)
      for (const origin of allowedOrigins) {
        if (!/^https?:\/\/[^/\s]+$/i.test(origin)) {
          return yield* session.refuse(
            `--allow-origin is ${JSON.stringify(origin)}, expected an origin such as https://inspector.example.com`
          )
        }
      }
      const tokens = yield* readToken(token, noToken, names)
      const server = yield* Effect.promise(() => import("./mcpHttp.ts"))
      return yield* server.http(options, { port, host: host ?? "127.0.0.1", allowedHosts, allowedOrigins, tokens })
    }, session.verb("mcp"))
  ).pipe(
    Command.withDescription(
      "Serve the events to agents over the Model Context Protocol. On stdin and stdout, which a client opens, until stdin " +
        "ends; with --http to many clients, until a signal ends it. Agents read, and record only with --allow-record."
    ),
    Command.withShortDescription("Serve the events to agents (MCP)"),
    examples("", "--http 8811 -n team-a", "--allow-record --backend filesystem")
  )
}
