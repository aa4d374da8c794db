/**
 * `template`: the language of messages.
 *
 * @internal
 */
import * as Command from "effect/cli/Command"
import { templateCheck } from "./templateCheck.ts"
import { templateRender } from "./templateRender.ts"
import { templateTest } from "./templateTest.ts"

/** @internal */
export const template = () =>
  Command.make("template").pipe(
    Command.withDescription("Render, check and test message templates."),
    Command.withShortDescription("Render, check and test message templates"),
    Command.withSubcommands([templateRender, templateCheck, templateTest])
  )
