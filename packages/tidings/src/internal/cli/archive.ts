/**
 * `archive`: copies the events of clusters and event logs into a database, for as long as it runs.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import type { Planning } from "./archivePlan.ts"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as quantities from "./quantities.ts"
import * as session from "./session.ts"

/** @internal */
export const archive = (planning: (given: Readonly<Record<string, ReadonlyArray<string>>>) => Planning) =>
  Command.make(
    "archive",
    {
      cluster: flags.text("cluster", {
        value: "NAME",
        description: "What the cluster is called in the archive, if there is one (default its context)"
      }),
      replica: flags.text("replica", {
        value: "NAME",
        description: "What tells this process from others that fill the same archive (default the host's name)"
      }),
      health: flags.port(
        "health",
        "Answer probes on this port: /healthz, /readyz, /status, and /metrics for Prometheus"
      ),
      maxAge: flags.text("max-age", {
        value: "AGE",
        description: "Remove what was written on days (UTC) that ended longer ago: 90d (default: keep everything)"
      })
    },
    Effect.fnUntraced(function* ({ cluster, health, maxAge, replica }) {
      for (const [flag, value] of Object.entries({ cluster, replica })) {
        if (value === "") return yield* session.refuse(`--${flag} is empty: leave it out`)
      }
      const { given } = yield* session.Session
      const plan = yield* planning(given)(cluster)
      const how = { replica, port: health, maxAgeSeconds: yield* quantities.readDays(maxAge) }
      const { run } = yield* Effect.promise(() => import("./archiving.ts"))
      return yield* run(plan, how)
    }, session.verb("archive"))
  ).pipe(
    Command.withDescription(
      "Copy every state of every event of a cluster, or of several, into a PostgreSQL database, once, and note for which " +
        "time it is complete. --context names a cluster and may be repeated, as may --directory for event logs; without " +
        "them it is the current cluster. Of a cluster all namespaces are copied. Two or three of them may run at once. " +
        "Runs until interrupted, and goes on later where it was."
    ),
    Command.withShortDescription("Copy the events of clusters into a database"),
    examples(
      "--database postgres://archiver@db.example.com/events",
      "--context production --context staging --database postgres://archiver@db.example.com/events",
      "--cluster production --health 8080"
    )
  )
