/**
 * Events as resources: `events://KIND/NAMESPACE/NAME`, each part percent-encoded, the namespace empty where none is meant.
 *
 * @internal
 */
import { type Event, namespaceOf } from "@tidings/core/Event"

/** @internal */
export const TEMPLATE = "events://{kind}/{namespace}/{name}"

/** @internal */
export const make = (kind: string, namespace: string, name: string): string =>
  `events://${[kind, namespace, name].map((part) => encodeURIComponent(part.toWellFormed())).join("/")}`

/**
 * The resources that an event is in: that of its namespace, and that of all namespaces.
 *
 * @internal
 */
export const of = (event: Event): ReadonlyArray<string> => {
  const { kind, name } = event.event.involvedObject
  return [make(kind, namespaceOf(event), name), make(kind, "", name)]
}

const SHAPE = /^events:\/\/([^/?#]+)\/([^/?#]*)\/([^/?#]+)$/

/** @internal */
export interface Meant {
  readonly resourceType: string
  readonly namespace: string
  readonly resourceName: string
}

/** @internal */
export const parse = (uri: string): Meant | undefined => {
  const match = SHAPE.exec(uri)
  if (match === null) return undefined
  try {
    const [resourceType, namespace, resourceName] = [1, 2, 3].map((index) => decodeURIComponent(match[index]!))
    return { resourceType: resourceType!, namespace: namespace!, resourceName: resourceName! }
  } catch {
    return undefined
  }
}
