import { assert, describe, it } from "@effect/vitest"
import { PostgresBackend } from "@tidings/backend-postgres"
import { Backend } from "@tidings/core/Backend"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import * as path from "node:path"
import * as connection from "../src/internal/connection.ts"

const located = (url: string) => Result.getOrThrow(connection.parseUrl(url))
const refused = (url: string): string => {
  const found = connection.parseUrl(url)
  return Result.isFailure(found) ? found.failure.message : "accepted"
}

const nothing: connection.Environment = { username: "someone", password: undefined, passfile: undefined }

/** A file in a directory of its own. */
const file = (content: string, mode: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = mkdtempSync(path.join(tmpdir(), "tidings-pgpass-"))
      const name = path.join(directory, "pgpass")
      writeFileSync(name, content)
      chmodSync(name, mode)
      return { directory, name }
    }),
    ({ directory }) => Effect.sync(() => rmSync(directory, { recursive: true }))
  ).pipe(Effect.map(({ name }) => name))

describe("the URL of a database", () => {
  it("names everything that libpq has for a connection", () => {
    const one = located(
      "postgresql://tid%40ings:s%2Fcret@db.example.com:6432/ev%20ents?sslmode=verify-full&sslrootcert=/etc/ca.pem&sslcert=a&sslkey=b&connect_timeout=3&application_name=app&options=-c%20x%3D1&passfile=/p"
    )
    assert.strictEqual(Redacted.value(one.password!), "s/cret")
    assert.deepInclude(one, {
      host: "db.example.com",
      port: 6432,
      username: "tid@ings",
      database: "ev ents",
      sslMode: "verify-full",
      sslRootCert: "/etc/ca.pem",
      sslCert: "a",
      sslKey: "b",
      applicationName: "app",
      options: "-c x=1",
      passfile: "/p"
    })
    assert.strictEqual(Duration.toSeconds(one.connectTimeout), 3)
  })

  it("has libpq's defaults", () => {
    assert.deepInclude(located("postgres://"), {
      host: "localhost",
      port: 5432,
      database: "postgres",
      sslMode: "prefer"
    })
    assert.strictEqual(located("postgres://someone@host").database, "someone")
    assert.strictEqual(located("postgres://h/?sslrootcert=system").sslMode, "verify-full")
    assert.strictEqual(located("postgres:///events?host=/var/run/postgresql").host, "/var/run/postgresql")
    assert.strictEqual(located("postgres://[::1]:5433/events").host, "::1")
    assert.deepInclude(located("postgres://someone@/events"), { host: "localhost", username: "someone", port: 5432 })
    assert.deepInclude(located("postgres://:5433/events"), { host: "localhost", port: 5433, database: "events" })
    assert.deepInclude(located("postgres://u:p@w@:5433?host=/run"), { host: "/run", username: "u", port: 5433 })
  })

  it("is refused where something in it would have no effect, and the refusal has no password", () => {
    for (const [url, told] of [
      ["mysql://u:never-to-be-seen@h/d", "does not begin with postgres://"],
      ["postgres://u:never-to-be-seen@h1,h2/d", "names several hosts"],
      ["postgres://u:never-to-be-seen@h/d?sslmod=require", `"sslmod", which is not known`],
      ["postgres://u:never-to-be-seen@h/d?sslmode=on", `sslmode="on"`],
      ["postgres://u:never-to-be-seen@h:99999/d", "has a port that is not between 1 and 65535"],
      ["postgres://u:never-to-be-seen@:99999/d", "has a port that is not between 1 and 65535"],
      ["postgres://u:never-to-be-seen@[::1]:99999", "has a port that is not between 1 and 65535"],
      ["postgres://h:never-to-be-seen/d", "has a port that is not between 1 and 65535"],
      ["postgres://u:never-to-be-seen@h:0/d", "has a port that is not between 1 and 65535"],
      ["postgres://u:never-to-be-seen@h/d?port=0", "has a port that is not between 1 and 65535"],
      ["postgres://u:never-to-be-seen@h/d?port=0x10", "has a port that is not between 1 and 65535"],
      ["postgres://u:never-to-be-seen@h/d?port=", "has a port that is not between 1 and 65535"],
      [
        "postgres://u:never-to-be-seen@::1/d",
        "has a host that is no name or address; an IPv6 address is written [::1]"
      ],
      ["postgres://u:never-to-be-seen@h h/d", "has a host that is no name or address"],
      ["postgres://u:never-to-be-seen%@h/d", "has a password with a %"],
      ["postgres://u:never-to-be-seen@h/d?connect_timeout=soon", "connect_timeout"],
      ["postgres://u:never-to-be-seen@h/d?connect_timeout=", "connect_timeout"],
      ["postgres://u:1/never-to-be-seen@h/d", "special character in its user or password"],
      ["postgres://u:1?never-to-be-seen@h/d", "special character in its user or password"],
      ["postgres://u:1#never-to-be-seen@h/d", "special character in its user or password"]
    ] as const) {
      assert.include(refused(url), told)
      assert.notInclude(refused(url), "never-to-be-seen")
    }
  })
})

describe("the place that a URL leads to", () => {
  it("is told with its schema, unless that is the usual one", () => {
    const told = (url: string) => Result.getOrThrow(PostgresBackend.placeOf(url)).description
    assert.strictEqual(told("postgres://u@h/events"), "the database events at h:5432")
    assert.strictEqual(told("postgres://u@h/events?schema=tidings"), "the database events at h:5432")
    assert.strictEqual(
      told("postgres://u@h/events?schema=team_a"),
      "the schema team_a of the database events at h:5432"
    )
  })
})

describe("the password", () => {
  const passwordOf = (url: string, environment: Partial<connection.Environment>) =>
    Effect.map(connection.poolOf(located(`${url}?sslmode=disable`), { ...nothing, ...environment }), ({ password }) =>
      Redacted.isRedacted(password) ? Redacted.value(password) : undefined
    )

  it.effect("is that of the URL, else of PGPASSWORD, else of the password file", () =>
    Effect.gen(function* () {
      const passfile = yield* file("db:*:events:tidings:of\\:file\n", 0o600)
      const password = Redacted.make("of PGPASSWORD")
      assert.strictEqual(yield* passwordOf("postgres://tidings:of-url@db/events", { password, passfile }), "of-url")
      assert.strictEqual(yield* passwordOf("postgres://tidings@db/events", { password, passfile }), "of PGPASSWORD")
      assert.strictEqual(yield* passwordOf("postgres://tidings@db/events", { passfile }), "of:file")
      assert.strictEqual(yield* passwordOf("postgres://other@db/events", { passfile }), undefined)
      assert.strictEqual(yield* passwordOf("postgres://tidings@db/events", { passfile: `${passfile}-none` }), undefined)
    })
  )

  it.effect("is not taken from a file that others may read", () =>
    Effect.gen(function* () {
      const passfile = yield* file("*:*:*:*:secret\n", 0o644)
      const error = yield* Effect.flip(passwordOf("postgres://tidings@db/events", { passfile }))
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.include(error.message, `chmod 600 ${passfile}`)
    })
  )

  it("of a file is that of the first line that matches", () => {
    const content = "# comment\r\nother:5432:*:*:a\nlocalhost:*:ev\\\\ents:*:b\n*:*:*:*:c\n"
    const at = (url: string) => connection.passwordIn(content, located(url), "someone")
    assert.strictEqual(at("postgres://other/x"), "a")
    assert.strictEqual(at("postgres://other:5433/x"), "c")
    assert.strictEqual(at("postgres:///ev%5Cents?host=/run/postgresql"), "b")
  })
})

describe("TLS", () => {
  const sslOf = (parameters: string) =>
    Effect.map(connection.poolOf(located(`postgres://u@h/d?${parameters}`), nothing), ({ ssl }) => ssl)

  it.effect("verifies what sslmode says", () =>
    Effect.gen(function* () {
      const root = yield* file("root certificate", 0o644)
      assert.strictEqual(yield* sslOf("sslmode=disable"), false)
      const require = yield* sslOf("sslmode=require")
      assert.deepInclude(require, { rejectUnauthorized: false })
      assert.deepInclude(yield* sslOf(`sslmode=require&sslrootcert=${root}`), {
        rejectUnauthorized: true,
        ca: "root certificate"
      })
      const authority = yield* sslOf(`sslmode=verify-ca&sslrootcert=${root}`)
      assert.deepInclude(authority, { rejectUnauthorized: true })
      const check = (ssl: unknown) =>
        (ssl as { checkServerIdentity: (host: string, certificate: object) => Error | undefined }).checkServerIdentity(
          "db.example.com",
          { subject: { CN: "elsewhere.example.com" }, subjectaltname: "DNS:elsewhere.example.com" }
        )
      assert.strictEqual(check(authority), undefined)
      assert.instanceOf(check(yield* sslOf("sslmode=verify-full")), Error)
      assert.include((yield* Effect.flip(sslOf("sslmode=verify-ca&sslrootcert=/none"))).message, "sslrootcert /none")
    })
  )

  for (const [answer, expected] of [
    ["S", { rejectUnauthorized: false }],
    ["N", false]
  ] as const) {
    it.live(`is ${expected === false ? "not used" : "used"} by default where a server answers ${answer}`, () =>
      Effect.gen(function* () {
        const asked: Array<Buffer> = []
        const server = yield* Effect.acquireRelease(
          Effect.callback<ReturnType<typeof createServer>>((resume) => {
            const server = createServer((socket) => {
              socket.on("error", () => undefined)
              socket.on("data", (data: Buffer) => {
                asked.push(data)
                socket.write(answer)
              })
            })
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const { port } = server.address() as { readonly port: number }
        const { ssl } = yield* connection.poolOf(located(`postgres://u@127.0.0.1:${port}/d`), nothing)
        if (expected === false) assert.strictEqual(ssl, false)
        else assert.deepInclude(ssl, expected)
        assert.deepStrictEqual(asked, [Buffer.from("0000000804d2162f", "hex")])
      })
    )
  }
})

describe("the layer", () => {
  const failure = (options: PostgresBackend.Options, environment: Record<string, string> = {}) =>
    Layer.build(PostgresBackend.layer(options)).pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment))),
      Effect.flip,
      Effect.map(({ message }) => message),
      Effect.scoped
    )

  it.effect("fails where it is not told what database, or told something that cannot be", () =>
    Effect.gen(function* () {
      assert.include(yield* failure({}), "TIDINGS_DATABASE")
      assert.include(yield* failure({}, { TIDINGS_DATABASE: "events" }), "does not begin with postgres://")
      assert.include(yield* failure({ url: "postgres://h/d", schema: "Events" }), "small letters")
      assert.include(yield* failure({ url: "postgres://h/d", maxAge: "1 hour" }), "at least a day")
    })
  )

  it.live("does not wait for a database that is away", () =>
    Effect.gen(function* () {
      const error = yield* Backend.use((backend) => Effect.flip(backend.query({}))).pipe(
        Effect.provide(PostgresBackend.layer({ url: "postgres://u@127.0.0.1:1/d" }))
      )
      assert.deepInclude(error.reason, { _tag: "Transient", applied: "no" })
      assert.match(
        error.message,
        /^temporary failure: the database d at 127\.0\.0\.1:1 does not answer: connect ECONNREFUSED 127\.0\.0\.1:1; to find out why, check /
      )
    })
  )
})
