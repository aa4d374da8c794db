import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { statusIn } from "../src/internal/response.ts"
import type { Refusal } from "./fixtures/refusals.ts"
import { short } from "./verdicts.ts"

const recorded: ReadonlyArray<Refusal> = JSON.parse(
  fs.readFileSync(path.join(import.meta.dirname, "fixtures/refusals.json"), "utf8")
) as ReadonlyArray<Refusal>

const refusedByAdmission = "Retry Transient no, park after 10m"

/** What comes of each answer of kube-apiserver 1.37. */
const expected: Readonly<Record<string, string>> = {
  "no right to create": "Retry Unauthorized",
  "no right to patch": "Retry Unauthorized",
  "an unknown token": "Retry Unauthorized",
  "no token": "Retry Unauthorized",
  "no right to act as another user": "Retry Unauthorized",
  "a namespace that is not there": "Retry Transient no, park after 1m",
  "an event that is not there": "Missing",
  "an event of a namespace that is not there": "Missing",
  "a path that is not there": "Retry Unavailable",
  "a namespace that is being deleted": "Rejected namespace-terminating",
  "a name that is taken": "Exists",
  "another resourceVersion": "Conflict",
  "a resourceVersion that is no number": "Retry Transient unknown",
  "a name that is being deleted": "Exists",
  "no action with eventTime": "Invalid",
  "a message that is too long": "Invalid",
  "another namespace than the path has": "Rejected bad-request",
  "another namespace": "Invalid",
  "a time that is none": "Rejected bad-request",
  "no JSON": "Rejected bad-request",
  "another name than before": "Rejected bad-request",
  "too many annotations": "TooLarge",
  "too much for etcd": "TooLarge",
  "too much": "TooLarge",
  "a media type that is none": "Retry Unavailable",
  ValidatingAsIs: refusedByAdmission,
  ValidatingForbidden: refusedByAdmission,
  ValidatingTooLarge: refusedByAdmission,
  ValidatingFails: refusedByAdmission,
  ValidatingOfOtherGroup: refusedByAdmission,
  ValidatingWithoutParameter: refusedByAdmission,
  MutatingFails: refusedByAdmission,
  MutatingSpoils: "Invalid",
  MutatingOfOtherGroup: refusedByAdmission,
  MutatingWithoutParameter: refusedByAdmission,
  webhook: refusedByAdmission,
  webhook400: refusedByAdmission,
  webhook403: refusedByAdmission,
  webhook404: refusedByAdmission,
  webhook409: refusedByAdmission,
  webhook422: refusedByAdmission,
  webhook429: refusedByAdmission,
  webhook500: refusedByAdmission,
  webhook503: refusedByAdmission,
  "webhook-broken": "Retry Transient unknown",
  "webhook-away": "Retry Transient unknown",
  "ValidatingAsIs, on a patch": refusedByAdmission,
  "ValidatingForbidden, on a patch": refusedByAdmission,
  "MutatingFails, on a patch": refusedByAdmission,
  "webhook404, on a patch": refusedByAdmission,
  "webhook409, on a patch": refusedByAdmission,
  "limited by Server": "Retry Throttled backend",
  "limited by Namespace": "Retry Throttled namespace",
  "limited by User": "Retry Throttled backend",
  "limited by SourceAndObject": "Retry Throttled object",
  "limited by Namespace and User": "Retry Throttled backend",
  "limited by SourceAndObject and Namespace": "Retry Throttled namespace",
  "a plugin that denies": refusedByAdmission,
  "a plugin that denies, on a patch": refusedByAdmission,
  "too many requests at once": "Retry Throttled backend 1s"
}

describe("a refusal of kube-apiserver 1.37", () => {
  it("of every kind that is expected is recorded, and no other one", () => {
    assert.sameMembers(
      recorded.map(({ name }) => name),
      Object.keys(expected)
    )
    // Another reason than Forbidden is never about rights.
    for (const { body, headers, name, status, verb } of recorded) {
      if (status !== 403 || statusIn({ body })?.reason === "Forbidden") continue
      assert.notInclude(short(verb, { status, headers, body }), "Unauthorized", name)
    }
  })

  for (const { body, headers, name, status, verb } of recorded) {
    const outcome = expected[name] ?? "nothing"
    it(`${status} ${name}: ${outcome}`, () => assert.strictEqual(short(verb, { status, headers, body }), outcome))
  }
})
