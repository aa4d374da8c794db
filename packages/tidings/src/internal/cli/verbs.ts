/**
 * All verbs. A command line that is about one of them loads that one alone, see `verb.ts`.
 *
 * @internal
 */
import type * as Layer from "effect/Layer"
import * as Command from "effect/cli/Command"
import { archive } from "./archive.ts"
import { compress } from "./compress.ts"
import { doctor } from "./doctor.ts"
import { emit } from "./emit.ts"
import { explain } from "./explain.ts"
import { exportVerb } from "./export.ts"
import { follow } from "./follow.ts"
import { get } from "./get.ts"
import { importVerb } from "./import.ts"
import { list } from "./list.ts"
import { mcp } from "./mcp.ts"
import { parked } from "./parked.ts"
import { prune } from "./prune.ts"
import { retention } from "./retention.ts"
import type * as session from "./session.ts"
import { story } from "./story.ts"
import { template } from "./template.ts"
import { top } from "./top.ts"
import type { Context } from "./verbContext.ts"
import { wait } from "./wait.ts"

/** In the order of help. @internal */
export const all = <R>({ archive: plan, catalogue, flags }: Context, run: Layer.Layer<session.Session, never, R>) => [
  Command.provide(list(catalogue), run),
  Command.provide(follow(catalogue), run),
  Command.provide(wait(catalogue), run),
  Command.provide(top(catalogue), run),
  Command.provide(story(catalogue), run),
  Command.provide(get(), run),
  Command.provide(emit(catalogue), run),
  Command.provide(exportVerb(catalogue), run),
  Command.provide(importVerb(), run),
  Command.provide(explain(catalogue), run),
  Command.provide(template(), run),
  ...(plan === undefined ? [] : [Command.provide(archive(plan), run)]),
  Command.provide(doctor(), run),
  Command.provide(parked(), run),
  Command.provide(retention(), run),
  Command.provide(prune(), run),
  Command.provide(compress(), run),
  Command.provide(mcp(flags), run)
]
