/**
 * The pages of `docs/reference` that are made of the code itself, or have parts that are: `npm run docs -- --write` writes
 * them, `npm run docs` fails when they are stale.
 */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { EventGenerator, reasonsKept } from "@tidings/core/EventGenerator"
import * as MessageTemplate from "@tidings/templates/MessageTemplate"
import * as TemplateFields from "@tidings/templates/TemplateFields"
import * as Result from "effect/Result"

const escape = (text: string): string => text.replaceAll("|", "\\|")

const reasons = (): string => {
  const sections = Object.entries(EventGenerator.kinds).map(([kind, definition]) => {
    const fields = Result.getOrThrow(
      TemplateFields.make({ name: "text", namespace: "text", ...definition.fields, arguments: "open" })
    )
    const rows = Object.entries(definition.reasons).map(([reason, { meaning, message, type }]) => {
      const template = Result.getOrThrow(MessageTemplate.compile(message, fields))
      const needed = [...template.required].filter((key) => key !== "name" && key !== "namespace")
      return `| \`${reason}\` | ${type} | ${needed.map((key) => `\`${key}\``).join(", ")} | ${escape(meaning)} | \`${escape(message)}\` | ${reasonsKept.has(reason) ? "yes" : ""} |`
    })
    return `## ${kind} (${rows.length})

API version \`${definition.apiVersion}\`.

| reason | type | needs | means | message | muster 1.7 |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}
`
  })
  return `# The built-in reasons

The output of \`tidings explain\` on one page. "Needs" is the data that a call must give; the message may use more. The type is the default, and a call can override it. This page is generated from the catalogue: \`npm run docs -- --write\`.

${sections.join("\n")}`
}

const COMMAND = "docs/reference/command.md"
const HELP = /<!-- help: ([a-z ]*?) ?-->\n\n```text\n[^`]*?```/g

/** The page of the command, with the help of every verb as the command prints it now. What stands around it is written by hand. */
const command = (): string =>
  readFileSync(COMMAND, "utf8").replace(HELP, (_, verb: string) => {
    const words = verb.split(" ").filter((word) => word !== "")
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      ["packages/tidings/bin/tidings.mjs", ...words, "--help"],
      { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } }
    )
    if (status !== 0) throw new Error(`tidings ${verb} --help ended with ${status}: ${stderr}`)
    return `<!-- help: ${verb} -->\n\n\`\`\`text\n${stdout.trimEnd()}\n\`\`\``
  })

export const pages: Readonly<Record<string, () => string>> = {
  "docs/reference/reasons.md": reasons,
  [COMMAND]: command
}
