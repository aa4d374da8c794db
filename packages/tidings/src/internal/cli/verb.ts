/**
 * The verb that a command line is about, loaded alone: to load and make all of them takes a quarter of the time that Node needs to
 * start.
 *
 * @internal
 */
import type * as Layer from "effect/Layer"
import * as Command from "effect/cli/Command"
import { follow } from "./follow.ts"
import { list } from "./list.ts"
import type * as session from "./session.ts"
import type { Context } from "./verbContext.ts"

/** The verb of that name, or all where there is none. `verbs.ts` has the same list in the order of help. @internal */
export const load = async <R>(
  name: string | undefined,
  context: Context,
  run: Layer.Layer<session.Session, never, R>
) => {
  const { archive: plan, catalogue, flags } = context
  switch (name) {
    case "list":
      return [Command.provide(list(catalogue), run)]
    case "follow":
      return [Command.provide(follow(catalogue), run)]
    case "wait":
      return [Command.provide((await import("./wait.ts")).wait(catalogue), run)]
    case "top":
      return [Command.provide((await import("./top.ts")).top(catalogue), run)]
    case "story":
      return [Command.provide((await import("./story.ts")).story(catalogue), run)]
    case "get":
      return [Command.provide((await import("./get.ts")).get(), run)]
    case "emit":
      return [Command.provide((await import("./emit.ts")).emit(catalogue), run)]
    case "export":
      return [Command.provide((await import("./export.ts")).exportVerb(catalogue), run)]
    case "import":
      return [Command.provide((await import("./import.ts")).importVerb(), run)]
    case "explain":
      return [Command.provide((await import("./explain.ts")).explain(catalogue), run)]
    case "template":
      return [Command.provide((await import("./template.ts")).template(), run)]
    case "archive":
      if (plan === undefined) break
      return [Command.provide((await import("./archive.ts")).archive(plan), run)]
    case "doctor":
      return [Command.provide((await import("./doctor.ts")).doctor(), run)]
    case "parked":
      return [Command.provide((await import("./parked.ts")).parked(), run)]
    case "retention":
      return [Command.provide((await import("./retention.ts")).retention(), run)]
    case "prune":
      return [Command.provide((await import("./prune.ts")).prune(), run)]
    case "compress":
      return [Command.provide((await import("./compress.ts")).compress(), run)]
    case "mcp":
      return [Command.provide((await import("./mcp.ts")).mcp(flags), run)]
  }
  return (await import("./verbs.ts")).all(context, run)
}
