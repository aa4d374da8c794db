import { PostgresBackend } from "@tidings/backend-postgres"
import { Contract } from "@tidings/testing"
import * as Effect from "effect/Effect"
import { fresh, schema, url } from "./testDatabase.ts"

Contract.suite("Events in PostgreSQL", fresh, {
  other: fresh,
  reopenable: Effect.map(schema, (name) => PostgresBackend.layer({ url, schema: name }))
})
