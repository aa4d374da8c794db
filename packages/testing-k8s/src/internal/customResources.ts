import { asObject, asText, at, isArray, type Json, type JsonObject } from "./json.ts"
import { type ResourceType, statusOf as status } from "./resourceType.ts"

// In the order in which the real server lists them.
const customVerbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]

/** The resources that a CustomResourceDefinition declares, one per served version. @internal */
export const customResources = (definition: JsonObject): ReadonlyArray<ResourceType> => {
  const spec = asObject(definition["spec"])
  const names = asObject(spec["names"])
  const versions = spec["versions"]
  const kind = asText(names["kind"])
  const texts = (value: Json | undefined): ReadonlyArray<string> => (isArray(value) ? value.map(asText) : [])
  return (isArray(versions) ? versions : [])
    .filter((version) => at(version, "served") === true)
    .map((version) => ({
      group: asText(spec["group"]),
      version: asText(at(version, "name")),
      plural: asText(names["plural"]),
      singular: asText(names["singular"]) || kind.toLowerCase(),
      kind,
      listKind: asText(names["listKind"]) || `${kind}List`,
      namespaced: spec["scope"] === "Namespaced",
      verbs: customVerbs,
      shortNames: texts(names["shortNames"]),
      categories: texts(names["categories"]),
      subresources: at(version, "subresources", "status") === undefined ? [] : [status(kind)],
      isCustom: true
    }))
}
