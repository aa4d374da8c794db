/**
 * Filters on lines of the log, without decoding them: most lines do not match, and the captured fields tell.
 *
 * A test answers `undefined` where only decoding can tell, because the JSON has escapes; the line is then decoded and compared
 * as every backend does.
 */
import { CLUSTER_SCOPED_NAMESPACE } from "@tidings/core/Event"
import * as EventQuery from "@tidings/core/EventQuery"
import { GROUP, type LogRecord } from "./line.ts"

type Match = RegExpExecArray

type Test = (match: Match, record: LogRecord) => boolean | undefined

/** Whether a JSON string, with its quotes, has a value; absent when only decoding can tell. */
const isText = (raw: string, wanted: string): boolean | undefined =>
  raw.includes("\\") ? undefined : raw.length === wanted.length + 2 && raw.startsWith(wanted, 1)

/**
 * Whether a JSON object of strings has a field with a value; absent when only decoding can tell. Without escapes no text in it
 * has a quote.
 */
const hasText = (raw: string, key: string, wanted: string): boolean | undefined =>
  raw.includes("\\") ? undefined : !key.includes('"') && !wanted.includes('"') && raw.includes(`"${key}":"${wanted}"`)

/** Whether a JSON reference has a namespace, the empty text for none; absent when only decoding can tell. */
const isOfNamespace = (object: string, wanted: string): boolean | undefined =>
  wanted !== ""
    ? hasText(object, "namespace", wanted)
    : object.includes("\\")
      ? undefined
      : !object.includes('"namespace":') || object.includes('"namespace":""')

/**
 * Whether the event itself is in a namespace: its own is absent in lines of the first release about objects that are in
 * none, and every event is in one. Absent when only decoding can tell.
 */
const isIn = (wanted: string, own: string | undefined, object: string): boolean | undefined => {
  if (wanted === "") return false
  if (own !== undefined && own !== '""') return isText(own, wanted)
  if (wanted !== CLUSTER_SCOPED_NAMESPACE) return isOfNamespace(object, wanted)
  // In it, or without any, which is the same.
  return isOfNamespace(object, wanted) === true ? true : isOfNamespace(object, "")
}

/** Whether a JSON reference has an API group; absent when only decoding can tell. */
const isOfGroup = (object: string, wanted: string): boolean | undefined => {
  if (object.includes("\\")) return undefined
  if (wanted.includes('"') || wanted.includes("/")) return false
  return wanted === "" ? !/"apiVersion":"[^"/]+\//.test(object) : object.includes(`"apiVersion":"${wanted}/`)
}

const isObject = (object: string, { apiGroup, kind, name }: EventQuery.ObjectSelector): boolean | undefined => {
  const isNamed = hasText(object, "name", name)
  if (isNamed !== true) return isNamed
  const isOfKind = hasText(object, "kind", kind)
  return isOfKind === true && apiGroup !== undefined ? isOfGroup(object, apiGroup) : isOfKind
}

/**
 * What stands in a line between two pieces of JSON, of which the first is before the second. A JSON string has no quote without
 * a backslash before it, so a piece with quotes on both sides of a comma is never found inside of one.
 */
const between = (text: string, before: string, after: string): string | undefined => {
  const start = text.indexOf(before)
  const end = start === -1 ? -1 : text.indexOf(after, start + before.length)
  return end === -1 ? undefined : text.slice(start + before.length, end)
}

const messageTest = (wanted: string): Test => {
  const isIn = EventQuery.messageMatcher(wanted)
  return (_, { text }) => {
    const message = between(text, ',"message":"', '","involvedObject":{')
    return message === undefined || message.includes("\\") ? undefined : isIn(message)
  }
}

const hasLabel = (text: string, key: string, value: string): boolean | undefined => {
  const labels = between(text, ',"labels":{', "}")
  if (labels === undefined) return false
  // A value with a brace in it ends the text too soon, also before an escape.
  if (text.includes("\\")) return undefined
  return hasText(labels, key, value) === true ? true : text.includes(`"${key}":`) ? undefined : false
}

const isInCluster = (text: string, wanted: string): boolean | undefined => {
  const cluster = between(text, ',"cluster":{', '},"apiVersion":"v1"')
  if (cluster === undefined) return false
  const isId = hasText(cluster, "id", wanted)
  return isId === true ? true : hasText(cluster, "name", wanted)
}

/** Values of a set that are compared one by one; with more of them decoding a line and looking into a `Set` is faster. */
const MOST_COMPARED = 16

/** Tests whether one of the wanted values is found. */
const anyOf = <A>(
  wanted: EventQuery.OneOrMore<A>,
  isFound: (one: A, match: Match, record: LogRecord) => boolean | undefined
): Test => {
  const only = EventQuery.onlyOf(wanted)
  if (only !== undefined) return (match, record) => isFound(only, match, record)
  const values = EventQuery.valuesOf(wanted)
  if (values.length > MOST_COMPARED) return () => undefined
  return (match, record) => {
    let found: boolean | undefined = false
    for (const one of values) {
      const is = isFound(one, match, record)
      if (is === true) return true
      if (is === undefined) found = undefined
    }
    return found
  }
}

/** One test for each field of a filter that is set. */
const testsOf = (filter: EventQuery.EventFilter): ReadonlyArray<Test> => {
  const { match: message, since, until } = filter
  const tests: Array<Test> = []
  const add = <A>(
    wanted: EventQuery.OneOrMore<A> | undefined,
    isFound: (one: A, match: Match, record: LogRecord) => boolean | undefined
  ): void => {
    if (wanted !== undefined) tests.push(anyOf(wanted, isFound))
  }
  if (since !== undefined) tests.push((_, { last }) => last >= since)
  if (until !== undefined) tests.push((_, { last }) => last <= until)
  add(filter.id, (id, match) => `${match[GROUP.origin]}.${match[GROUP.seq]}` === id)
  add(filter.eventType, (type, match) => isText(match[GROUP.type]!, type))
  add(filter.reason, (reason, match) => isText(match[GROUP.reason]!, reason))
  add(filter.resourceType, (kind, match) => hasText(match[GROUP.object]!, "kind", kind))
  add(filter.resourceName, (name, match) => hasText(match[GROUP.object]!, "name", name))
  add(filter.object, (wanted, match) => isObject(match[GROUP.object]!, wanted))
  add(filter.namespace, (namespace, match) => isIn(namespace, match[GROUP.namespace], match[GROUP.object]!))
  add(filter.objectNamespace, (namespace, match) => isOfNamespace(match[GROUP.object]!, namespace))
  add(filter.apiGroup, (group, match) => isOfGroup(match[GROUP.object]!, group))
  add(filter.source, (component, match) => hasText(match[GROUP.source]!, "component", component))
  add(filter.name, (name, match) => isText(match[GROUP.name]!, name))
  add(filter.cluster, (cluster, _, { text }) => isInCluster(text, cluster))
  for (const [key, value] of Object.entries(filter.labels ?? {})) {
    tests.push((_, { text }) => hasLabel(text, key, value))
  }
  if (message !== undefined) tests.push(messageTest(message))
  return tests
}

/**
 * Whether a line matches a filter; what depends on the filter alone is worked out once.
 *
 * @internal
 */
export const make = (filter: EventQuery.EventFilter): ((record: LogRecord) => boolean) => {
  const tests = testsOf(filter)
  const matches = EventQuery.matcher(filter)
  return (record) => {
    const { match } = record
    if (match === undefined) return matches(record.event)
    let isSure = true
    for (const test of tests) {
      const found = test(match, record)
      if (found === false) return false
      if (found === undefined) isSure = false
    }
    return isSure || matches(record.event)
  }
}
