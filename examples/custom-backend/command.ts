#!/usr/bin/env node
// A command of its own for the store: the whole of it.
import * as Cli from "tidings/Cli"
import * as SqliteBackend from "./SqliteBackend.ts"

Cli.run(SqliteBackend.layer(process.env["EVENTS_DATABASE"] ?? "events.db"), { name: "sqlite-events", version: "1.0.0" })
