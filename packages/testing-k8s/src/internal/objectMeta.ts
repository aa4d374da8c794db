/** Metadata that every object has. */
import { always, decode, optional, type Struct } from "./decode.ts"
import { asObject, asText, type JsonObject } from "./json.ts"
import { checkLabelValue, checkPathSegment, checkQualifiedName } from "./names.ts"
import { type FieldError, invalid, required, tooLong } from "./fieldErrors.ts"

const ownerReference: Struct = {
  name: "OwnerReference",
  goType: "v1.OwnerReference",
  fields: [
    always("apiVersion", "string"),
    always("kind", "string"),
    always("name", "string"),
    always("uid", "string"),
    optional("controller", "bool"),
    optional("blockOwnerDeletion", "bool")
  ]
}

/** @internal */
export const objectMeta: Struct = {
  name: "ObjectMeta",
  goType: "v1.ObjectMeta",
  fields: [
    optional("name", "string"),
    optional("generateName", "string"),
    optional("namespace", "string"),
    optional("selfLink", "string"),
    optional("uid", "string"),
    optional("resourceVersion", "string"),
    optional("generation", "int64"),
    optional("creationTimestamp", "time"),
    optional("deletionTimestamp", "time"),
    optional("deletionGracePeriodSeconds", "int64"),
    optional("labels", "stringMap"),
    optional("annotations", "stringMap"),
    optional("ownerReferences", { list: () => ownerReference }),
    optional("finalizers", "stringList"),
    optional("managedFields", "any")
  ]
}

/** Metadata without the fields that are empty. @internal */
export const normalizeMeta = (meta: JsonObject): JsonObject => decode(objectMeta, meta).value

const annotationsLimit = 256 * 1024

type NameCheck = (name: string) => ReadonlyArray<string>

/** @internal */
export const checkObjectNames = (meta: JsonObject, check: NameCheck): ReadonlyArray<FieldError> => {
  const name = asText(meta["name"])
  const prefix = asText(meta["generateName"])
  return [
    // Something follows a prefix, so it may end in a dash.
    ...(prefix === ""
      ? []
      : check(prefix.replace(/-$/, "a")).map((detail) => invalid("metadata.generateName", prefix, detail))),
    ...(name === ""
      ? [required("metadata.name", "name or generateName is required")]
      : check(name).map((detail) => invalid("metadata.name", name, detail)))
  ]
}

/** @internal */
export const validateObjectMeta = (
  meta: JsonObject,
  checkName: NameCheck = checkPathSegment
): ReadonlyArray<FieldError> => {
  const labels = Object.entries(asObject(meta["labels"]))
  const annotations = Object.entries(asObject(meta["annotations"]))
  const annotationsSize = annotations.reduce(
    (size, [key, value]) => size + Buffer.byteLength(key) + Buffer.byteLength(asText(value)),
    0
  )
  return [
    ...checkObjectNames(meta, checkName),
    ...labels.flatMap(([key, value]) => [
      ...checkQualifiedName(key).map((detail) => invalid("metadata.labels", key, detail)),
      ...checkLabelValue(asText(value)).map((detail) => invalid("metadata.labels", asText(value), detail))
    ]),
    // Keys of annotations are compared in lower case.
    ...annotations.flatMap(([key]) =>
      checkQualifiedName(key.toLowerCase()).map((detail) => invalid("metadata.annotations", key, detail))
    ),
    ...(annotationsSize > annotationsLimit ? [tooLong("metadata.annotations", annotationsLimit)] : [])
  ]
}
