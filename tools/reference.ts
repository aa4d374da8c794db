/**
 * The pages of `docs/reference` that are made of the code itself: `npm run docs -- --write` writes them, `npm run docs`
 * fails when they are stale.
 */
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

export const pages: Readonly<Record<string, () => string>> = {
  "docs/reference/reasons.md": reasons
}
