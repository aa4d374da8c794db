import type { Backend } from "@tidings/core/Backend"
import { Contract } from "@tidings/testing"
import { Effect, Layer } from "effect"
import { compressing } from "./compressing.ts"
import * as TestDirectory from "./TestDirectory.ts"

const fresh = Layer.unwrap(Effect.map(TestDirectory.make, compressing)) as Layer.Layer<Backend>

Contract.suite("The event log on disk with compressed segments", fresh, {
  other: fresh,
  reopenable: Effect.map(TestDirectory.make, (directory) => compressing(directory) as Layer.Layer<Backend>)
})
