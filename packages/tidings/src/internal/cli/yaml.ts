/**
 * Documents in YAML. Loaded with `-o yaml` alone, because a library for it is a tenth of the command.
 *
 * @internal
 */
import { Document, visit } from "yaml"
import * as escape from "./escape.ts"

/** @internal */
export const encode = (value: unknown): string => {
  // Readers of YAML 1.1 take a bare `no` for false; `compat` quotes what they would misread.
  const document = new Document(value, { compat: "yaml-1.1", aliasDuplicateObjects: false })
  visit(document, {
    Scalar: (_, node) => {
      // Only between double quotes can a control character be written out and still be the same text.
      if (typeof node.value === "string" && escape.block(node.value) !== node.value) node.type = "QUOTE_DOUBLE"
    }
  })
  return escape.block(document.toString({ lineWidth: 0 }).trimEnd())
}
