import * as Backend from "@tidings/core/Backend"
import type { EventDraft } from "@tidings/core/Recorder"
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Transform from "@tidings/core/Transform"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { json } from "./support/arbitraries.ts"

const web: EventDraft["involvedObject"] = { kind: "Pod", name: "web", namespace: "default" }
const draft = (more?: Partial<EventDraft>): EventDraft => ({ involvedObject: web, reason: "Started", ...more })

describe("filter", () => {
  it("keeps events for which the predicate is true, unchanged, and leaves out the others", () => {
    const filter = Transform.filter("warnings", ({ type }) => type === "Warning")
    const warning = draft({ type: "Warning" })
    assert.strictEqual(filter.apply(warning), warning)
    assert.strictEqual(filter.apply(draft({ type: "Normal" })), undefined)
    assert.strictEqual(filter.name, "warnings")
  })
})

describe("enrich", () => {
  it("merges data and labels, replaces other fields, and does not change the given event", () => {
    const given = draft({ data: { error: "a", stepId: "s" }, labels: { team: "a", tier: "b" }, action: "x" })
    const copy = structuredClone(given)
    const enriched = Transform.enrich("more", () => ({
      data: { error: "b", executionId: "e" },
      labels: { team: "c" },
      type: "Warning"
    })).apply(given)
    assert.deepStrictEqual(enriched, {
      involvedObject: web,
      reason: "Started",
      action: "x",
      type: "Warning",
      data: { error: "b", stepId: "s", executionId: "e" },
      labels: { team: "c", tier: "b" }
    })
    assert.deepStrictEqual(given, copy)
  })

  it("keeps a field where it is undefined in the result", () => {
    const given = draft({ data: { error: "a" }, labels: { team: "a" }, type: "Warning" })
    const enriched = Transform.enrich("nothing", () => ({
      data: undefined,
      labels: undefined,
      type: undefined
    })).apply(given)
    assert.deepStrictEqual(enriched, given)
    const inside = Transform.enrich("nothing inside", () => ({ data: { error: undefined, stepId: "s" } })).apply(given)
    assert.deepStrictEqual(inside?.data, { error: "a", stepId: "s" })
  })

  it("adds data and labels where there were none", () => {
    const enriched = Transform.enrich("more", ({ reason }) => ({ data: { stepId: reason }, labels: { a: "b" } })).apply(
      draft()
    )
    assert.deepStrictEqual([enriched?.data, enriched?.labels], [{ stepId: "Started" }, { a: "b" }])
  })
})

describe("sample", () => {
  const named = (name: string) => draft({ involvedObject: { kind: "Pod", name } })
  const names = Array.from({ length: 2_000 }, (_, n) => `web-${n}`)

  it("keeps the given share, the same events in every run, whatever their reason", () => {
    for (const share of [0, 0.05, 0.5, 1]) {
      const kept = names.filter((name) => Transform.sample("s", { share }).apply(named(name)) !== undefined)
      const again = names.filter(
        (name) => Transform.sample("other", { share }).apply({ ...named(name), reason: "Stopped" }) !== undefined
      )
      assert.deepStrictEqual(again, kept)
      assert.approximately(kept.length / names.length, share, 0.03)
    }
  })

  it("keeps with a larger share all that it keeps with a smaller one", () => {
    const keeps = (share: number) => names.filter((name) => Transform.sample("s", { share }).apply(named(name)))
    const larger = new Set(keeps(0.3))
    assert.isTrue(keeps(0.1).every((name) => larger.has(name)))
  })

  it("selects by the text that the host chooses", () => {
    const byExecution = Transform.sample("s", { share: 0.5, by: ({ data }) => data?.executionId ?? "" })
    const of = (executionId: string, name: string) =>
      byExecution.apply({ ...named(name), data: { executionId } }) !== undefined
    for (let n = 0; n < 50; n++) {
      const kept = of(`run-${n}`, "a")
      assert.isTrue(["b", "c", "d"].every((name) => of(`run-${n}`, name) === kept))
    }
  })
})

describe("redact", () => {
  const redacted = (data: EventDraft["data"], options?: Parameters<typeof Transform.redact>[0]) =>
    Transform.redact(options).apply(draft({ data }))?.data

  const secrets = [
    "password",
    "PASSWORD",
    "userPassword",
    "passwd",
    "pass_phrase",
    "passcode",
    "db.pwd",
    "secret",
    "clientSecret",
    "secret_access_key",
    "token",
    "accessToken",
    "refresh_token",
    "tokens",
    "X-Auth-Token",
    "apiKey",
    "API_KEY",
    "x-api-key",
    "api key",
    "accessKey",
    "access_key_id",
    "privateKey",
    "PRIVATE-KEY",
    "sshKey",
    "signing_key",
    "encryptionKey",
    "credential",
    "credentials",
    "Authorization",
    "Proxy-Authorization",
    "cookie",
    "Set-Cookie",
    "bearer",
    "jwt",
    "id_token_hint"
  ]
  it.each(secrets)("masks a value with the key %s", (key) => {
    assert.deepStrictEqual(redacted({ arguments: { [key]: "x" } }), { arguments: { [key]: "[redacted]" } })
  })

  const harmless = [
    "tokenize",
    "tokenizer",
    "tokenise",
    "tokenCount",
    "token_count",
    "tokensUsed",
    "maxTokens",
    "max_tokens",
    "max_new_tokens",
    "input_tokens",
    "outputTokens",
    "prompt_tokens",
    "completionTokens",
    "total_tokens",
    "reasoning_tokens",
    "tokenLimit",
    "tokenBudget",
    "token_usage",
    "toolNames",
    "passed",
    "compass",
    "bypass",
    "key",
    "publicKey",
    "primary_key",
    "author",
    "name",
    "user",
    "monkey",
    "apiVersion",
    "accessMode",
    "sign"
  ]
  it.each(harmless)("does not mask a value with the key %s", (key) => {
    const data = { arguments: { [key]: "x" } }
    assert.strictEqual(redacted(data), data)
  })

  it("masks at any depth of objects and lists, and nothing else", () => {
    const list = [{ fine: 1 }]
    const data = {
      arguments: { a: [{ b: { c: [[{ token: "x", user: "eva" }]] } }, "text", null, 1], list },
      error: "password: hunter2"
    }
    const masked = redacted(data) as typeof data
    assert.deepStrictEqual(masked, {
      arguments: { a: [{ b: { c: [[{ token: "[redacted]", user: "eva" }]] } }, "text", null, 1], list: [{ fine: 1 }] },
      error: "password: hunter2"
    })
    // What has no secret in it is not copied.
    assert.strictEqual(masked.arguments.list, list)
    assert.deepInclude(data.arguments, { list })
    assert.deepStrictEqual((data.arguments.a[0] as { b: { c: unknown } }).b.c, [[{ token: "x", user: "eva" }]])
  })

  it("returns the same event where nothing is masked", () => {
    const given = draft({
      data: { error: "e", toolNames: ["a"], arguments: { a: [1, { b: "c" }] }, duration: "1s", stepCount: 2 },
      labels: { team: "a" },
      message: "m"
    })
    assert.strictEqual(Transform.redact().apply(given), given)
    assert.strictEqual(Transform.redact({ patterns: [/nowhere/] }).apply(given), given)
    assert.strictEqual(Transform.redact().apply(draft())?.data, undefined)
  })

  it("masks lists, numbers and objects as a whole, but no values that reveal nothing", () => {
    assert.deepStrictEqual(
      redacted({
        arguments: {
          tokens: ["a", "b"],
          pin: 1,
          passcode: 1234,
          secret: { deep: "x" },
          password: "",
          token: null,
          hasPassword: true,
          secretRotated: false,
          cookie: undefined
        }
      })?.arguments,
      {
        tokens: "[redacted]",
        pin: 1,
        passcode: "[redacted]",
        secret: "[redacted]",
        password: "",
        token: null,
        hasPassword: true,
        secretRotated: false,
        cookie: undefined
      }
    )
  })

  it("masks environment variables in the form of Kubernetes", () => {
    const env = [
      { name: "DB_PASSWORD", value: "hunter2" },
      { name: "DB_USER", value: "eva" },
      { key: "apiKey", value: "x" },
      { name: "DB_PASSWORD", valueFrom: { fieldRef: "y" } }
    ]
    assert.deepStrictEqual(redacted({ arguments: { env } })?.arguments, {
      env: [
        { name: "DB_PASSWORD", value: "[redacted]" },
        { name: "DB_USER", value: "eva" },
        { key: "apiKey", value: "[redacted]" },
        { name: "DB_PASSWORD", valueFrom: { fieldRef: "y" } }
      ]
    })
  })

  it("masks fields of a host's catalogue by key, and never the built-in ones", () => {
    const everything = /./
    const data = {
      name: "web",
      namespace: "default",
      operation: "o",
      serviceClass: "c",
      error: "e",
      duration: "1s",
      stepCount: 1,
      stepId: "s",
      stepTool: "t",
      conditionResult: "true",
      executionId: "x",
      toolNames: ["a"],
      allowFailure: true,
      arguments: { a: "b" },
      apiToken: "z",
      orderId: "17"
    }
    assert.deepStrictEqual(redacted(data), { ...data, apiToken: "[redacted]" })
    assert.deepStrictEqual(redacted(data, { keys: everything }), {
      ...data,
      arguments: { a: "[redacted]" },
      apiToken: "[redacted]",
      orderId: "[redacted]"
    })
  })

  it("masks every place where a pattern matches, with or without its flags", () => {
    for (const pattern of [/Bearer \S+/, /Bearer \S+/g]) {
      for (let repeated = 0; repeated < 3; repeated++) {
        assert.deepStrictEqual(
          redacted(
            {
              error: "Bearer a, Bearer b",
              toolNames: ["Bearer c", "d"],
              arguments: { x: ["Bearer e"] },
              ticket: "Bearer f"
            },
            { patterns: [pattern] }
          ),
          {
            error: "[redacted] [redacted]",
            toolNames: ["[redacted]", "d"],
            arguments: { x: ["[redacted]"] },
            ticket: "[redacted]"
          }
        )
      }
    }
    assert.deepStrictEqual(redacted({ error: "abc" }, { patterns: [/x*/] }), { error: "abc" })
  })

  it("applies patterns to message, action and labels too, and not to the identity or the duration", () => {
    const masked = Transform.redact({ patterns: [/\d+/] }).apply(
      draft({
        involvedObject: { kind: "Pod", name: "web-1", namespace: "team-2" },
        message: "PIN 1234 was wrong",
        action: "try 2",
        labels: { pin: "a-1234", team: "a" },
        data: { name: "web-1", namespace: "team-2", duration: "30s", error: "5" }
      })
    )
    assert.deepStrictEqual(masked, {
      involvedObject: { kind: "Pod", name: "web-1", namespace: "team-2" },
      reason: "Started",
      message: "PIN [redacted] was wrong",
      action: "try [redacted]",
      labels: { pin: "redacted", team: "a" },
      data: { name: "web-1", namespace: "team-2", duration: "30s", error: "[redacted]" }
    })
  })

  it("masks labels with a text that is valid in a label", () => {
    const masked = Transform.redact().apply(draft({ labels: { "session-token": "x", team: "a", secret: "" } }))
    assert.deepStrictEqual(masked?.labels, { "session-token": "redacted", team: "a", secret: "" })
  })

  it("tests every key from its beginning, also with a pattern that has a state", () => {
    for (const keys of [/pin/g, /pin/y]) {
      const transform = Transform.redact({ keys })
      for (let repeated = 0; repeated < 3; repeated++) {
        const masked = transform.apply(draft({ data: { arguments: { pin: "1", [`pin${repeated}`]: "2" } } }))
        assert.deepStrictEqual(masked?.data?.arguments, { pin: "[redacted]", [`pin${repeated}`]: "[redacted]" })
      }
    }
  })

  it("neither pollutes a prototype nor loses a field that is named __proto__", () => {
    const hostile = JSON.parse(
      '{"__proto__": {"password": "x", "polluted": true}, "constructor": {"token": "y"}, "list": [{"__proto__": {"secret": "z"}}]}'
    ) as Record<string, unknown>
    const masked = redacted({ arguments: hostile })
    assert.strictEqual(
      JSON.stringify(masked),
      '{"arguments":{"__proto__":{"password":"[redacted]","polluted":true},"constructor":{"token":"[redacted]"},"list":[{"__proto__":{"secret":"[redacted]"}}]}}'
    )
    assert.isUndefined(({} as { polluted?: unknown }).polluted)
    const top = JSON.parse('{"__proto__": {"password": "x"}}') as Record<string, unknown>
    assert.strictEqual(JSON.stringify(redacted(top)), '{"__proto__":{"password":"[redacted]"}}')
    assert.strictEqual(Object.getPrototypeOf(redacted(top)), Object.prototype)
  })

  it("ends for data that contains itself many times", () => {
    const tree: Record<string, unknown> = { name: "root" }
    for (const branch of ["a", "b", "c", "d"]) tree[branch] = { parent: tree, children: [tree, tree] }
    const endless = { arguments: tree }
    assert.strictEqual(redacted(endless), endless)
    let deep: unknown = "end"
    for (let level = 0; level < 100_000; level++) deep = [{ deep }]
    const bottomless = { arguments: { deep } }
    assert.strictEqual(redacted(bottomless), bottomless)
    const wide: Array<unknown> = []
    wide.length = 4_000_000_000
    const sparse = { arguments: { wide } }
    assert.strictEqual(redacted(sparse), sparse)
  })

  it.prop(
    "is idempotent, and never leaves a text under a secret key",
    {
      data: Arbitrary.map(
        Arbitrary.array(
          Arbitrary.all({ key: Arbitrary.schema(Schema.Literals(["token", "a", "deep", "password"])), json }),
          { maxLength: 4 }
        ),
        (fields) => Object.fromEntries(fields.map(({ json, key }) => [key, json]))
      )
    },
    ({ data }) => {
      const once = Transform.redact().apply(draft({ data: { arguments: data } }))!
      assert.strictEqual(Transform.redact().apply(once), once)
      const look = (value: unknown): void => {
        if (typeof value !== "object" || value === null) return
        for (const [key, member] of Object.entries(value)) {
          if (Transform.secretKey.test(key)) {
            assert.isTrue(
              member === "[redacted]" || member === "" || member === null || typeof member === "boolean",
              key
            )
          } else look(member)
        }
      }
      look(once.data)
    },
    { arbitrary: { runs: 300, size: 50 } }
  )
})

describe("redact in a recorder", () => {
  class Vault extends EventCatalogue.Service<Vault>()("test/Vault", {
    Vault: {
      apiVersion: "example.com/v1",
      fields: { secretCount: "count", secretNames: "list", ticket: "text" },
      reasons: {
        VaultOpened: {
          meaning: "Somebody opened it.",
          message:
            "Vault {{.Name}} has {{.SecretCount}} secrets: {{.SecretNames}}{{ if gt .SecretCount 3 }}, many{{ end }} ({{.Ticket}})"
        }
      }
    }
  }) {}

  it.effect("replaces a count with a secret key by a text, for which the message prints nothing", () =>
    Effect.gen(function* () {
      const vault = yield* Vault
      const object = { metadata: { name: "v", namespace: "default" } }
      yield* vault.vaultEvent(object, "VaultOpened", { secretCount: 5, secretNames: ["a"], ticket: "t" })
      const { events } = yield* (yield* Backend.Backend).query({})
      assert.deepStrictEqual(events[0]?.event.data, {
        name: "v",
        namespace: "default",
        secretCount: "[redacted]",
        secretNames: "[redacted]",
        ticket: "t"
      })
      assert.strictEqual(events[0]?.event.message, "Vault v has  secrets:  (t)")
    }).pipe(
      Effect.provide(
        Vault.layer.pipe(
          Layer.provideMerge(Recorder.layerDirect()),
          Layer.provideMerge(Layer.merge(Templates.layer, Backend.layerMemory()))
        )
      )
    )
  )
})
