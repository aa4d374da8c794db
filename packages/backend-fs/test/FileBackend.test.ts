import { FileBackend } from "@tidings/backend-fs"
import { Contract } from "@tidings/testing"
import { Effect, Layer } from "effect"
import * as TestDirectory from "./TestDirectory.ts"

const fresh = Layer.unwrap(
  Effect.map(TestDirectory.make, (directory) => FileBackend.layer({ directory, console: false }))
)

Contract.suite("The event log on disk", fresh, {
  other: fresh,
  reopenable: Effect.map(TestDirectory.make, (directory) => FileBackend.layer({ directory, console: false }))
})
