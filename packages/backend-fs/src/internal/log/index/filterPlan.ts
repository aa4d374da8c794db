import type { Event, Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Block from "./block.ts"
import type { Words } from "./column.ts"
import { hashOfName } from "./rows.ts"
import type { IndexReader, Scratch } from "./segmentIndex.ts"

type Mutable<A> = { -readonly [K in keyof A]: A[K] }
type Filter = Mutable<EventQuery.EventFilter>

const only = (
  filter: EventQuery.EventFilter,
  fields: ReadonlyArray<keyof EventQuery.EventFilter>
): Filter | undefined => {
  const part: Filter = {}
  let isSet = false
  for (const field of fields) {
    if (filter[field] === undefined) continue
    Object.assign(part, { [field]: filter[field] })
    isSet = true
  }
  return isSet ? part : undefined
}

const NOBODY: Write = {
  id: { origin: "0", seq: 0 },
  upTo: 0,
  count: 1,
  first: 0,
  last: 0,
  event: {
    involvedObject: { kind: "", name: "" },
    reason: "",
    type: "",
    action: "",
    message: "",
    data: {},
    source: { component: "" },
    reportingController: "",
    reportingInstance: ""
  }
}

const withBody = (body: Partial<Write["event"]>): Write => ({ ...NOBODY, event: { ...NOBODY.event, ...body } })

/** Answers for entries that were decoded, in one question. */
const MOST_ANSWERS = 65_536

/** Whether an entry of a dictionary can be that of an event that matches. */
class EntryTest {
  private readonly answers = new Map<string, number>()
  private readonly eventOf: (entry: string) => Write
  private readonly matches: (event: Write) => boolean

  constructor(filter: EventQuery.EventFilter, eventOf: (entry: string) => Write) {
    this.eventOf = eventOf
    this.matches = EventQuery.matcher(filter)
  }

  /** 1 when it can. */
  of(bytes: Buffer, start: number, end: number): number {
    const entry = bytes.toString("latin1", start, end)
    const known = this.answers.get(entry)
    if (known !== undefined) return known
    const answer = this.matches(this.eventOf(bytes.toString("utf8", start, end))) ? 1 : 0
    if (this.answers.size >= MOST_ANSWERS) this.answers.clear()
    this.answers.set(entry, answer)
    return answer
  }
}

/**
 * A filter, as questions to the columns.
 *
 * @internal
 */
export class FilterPlan {
  readonly since: number
  readonly until: number
  /** What only the line of an event tells. */
  readonly needsLine: boolean
  /** By the dictionary. */
  readonly tests: ReadonlyArray<EntryTest | undefined>
  /** Whether the namespace of an object is that of its events. */
  readonly implied: EntryTest | undefined
  readonly ids: ReadonlyArray<EventId.EventId> | undefined
  /** Names of event objects: hashes of them, and the seqs in those that follow from the identity. */
  readonly names: { readonly hashes: ReadonlySet<number>; readonly seqs: ReadonlySet<number> } | undefined
  /** How the names of objects that can match are spelled in JSON without escapes; undefined where they are not known. */
  private readonly objectNames: ReadonlyArray<string> | undefined
  readonly matches: (event: Event) => boolean
  /** Nothing is asked but times. */
  readonly isOnlyTime: boolean

  constructor(filter: EventQuery.EventFilter) {
    const objects = only(filter, ["resourceType", "resourceName", "object", "objectNamespace", "apiGroup"])
    const reasons = only(filter, ["eventType", "reason"])
    const sources = only(filter, ["source"])
    const namespaces = only(filter, ["namespace"])
    const contexts = only(filter, ["labels", "cluster"])
    const test = (part: Filter | undefined, eventOf: (entry: string) => Write): EntryTest | undefined =>
      part === undefined ? undefined : new EntryTest(part, eventOf)
    const ofObject = (entry: string): Write => withBody({ involvedObject: JSON.parse(entry) as ObjectReference })
    this.since = filter.since ?? Number.NEGATIVE_INFINITY
    this.until = filter.until ?? Number.POSITIVE_INFINITY
    this.needsLine = filter.match !== undefined || filter.name !== undefined
    this.tests = [
      test(reasons, (entry) => withBody(JSON.parse(`{"type":${entry}}`) as { type: string; reason: string })),
      test(sources, (entry) => withBody({ source: JSON.parse(entry) as Write["event"]["source"] })),
      test(objects, ofObject),
      test(namespaces, (entry) => ({ ...NOBODY, namespace: JSON.parse(entry) as string })),
      test(contexts, (entry) => {
        const { cluster, labels } = JSON.parse(entry) as {
          cluster?: NonNullable<Write["cluster"]>
          labels?: Readonly<Record<string, string>>
        }
        return {
          ...withBody(labels === undefined ? {} : { labels }),
          ...(cluster === undefined ? undefined : { cluster })
        }
      })
    ]
    this.implied = test(namespaces, ofObject)
    this.ids =
      filter.id === undefined ? undefined : EventQuery.valuesOf(filter.id).flatMap((id) => EventId.parse(id) ?? [])
    this.names =
      filter.name === undefined
        ? undefined
        : {
            hashes: new Set(EventQuery.valuesOf(filter.name).map(hashOfName)),
            seqs: new Set(
              EventQuery.valuesOf(filter.name).map((name) => Number.parseInt(name.slice(name.lastIndexOf(".") + 1), 36))
            )
          }
    this.objectNames = namesIn(filter)
    this.matches = EventQuery.matcher(filter)
    this.isOnlyTime = !this.needsLine && this.ids === undefined && this.tests.every((one) => one === undefined)
  }

  /** The dictionaries that are read, as bits. */
  get dictionaries(): number {
    let wanted = 0
    for (const [dictionary, test] of this.tests.entries()) if (test !== undefined) wanted |= 1 << dictionary
    if (this.implied !== undefined) wanted |= 1 << Block.DICTIONARY.object
    return wanted
  }

  /** Where some bytes have one of the names of objects that can match, in order; undefined where that tells nothing. */
  placesOfNames(bytes: Buffer): ReadonlyArray<number> | undefined {
    if (this.objectNames === undefined || this.implied !== undefined || bytes.includes(0x5c)) return undefined
    const places: Array<number> = []
    for (const name of this.objectNames) {
      for (let at = bytes.indexOf(name); at !== -1; at = bytes.indexOf(name, at + 1)) places.push(at)
    }
    return this.objectNames.length === 1 ? places : places.sort((a, b) => a - b)
  }
}

/** Names that are looked for in all bytes of the entries first. */
const MOST_NAMES = 8

const namesIn = ({ object, resourceName }: EventQuery.EventFilter): ReadonlyArray<string> | undefined => {
  const names =
    resourceName !== undefined
      ? EventQuery.valuesOf(resourceName)
      : object !== undefined
        ? EventQuery.valuesOf(object).map(({ name }) => name)
        : []
  if (names.length === 0 || names.length > MOST_NAMES) return undefined
  const spelled = names.map((name) => JSON.stringify(name))
  // With escapes there are several spellings; outside ASCII they are compared as they are decoded.
  return spelled.every((one) => /^"[ !#-[\]-~]*"$/.test(one)) ? spelled.map((one) => `:${one}`) : undefined
}

/** So many numbers, or fewer, are searched one by one. */
const FEW = 8

/**
 * Which entries of the dictionaries of one segment can be those of events that match.
 *
 * @internal
 */
export class SegmentFilter {
  /** By the dictionary: 1 for each number that can match. */
  readonly allowed: ReadonlyArray<Uint8Array | undefined>
  /** By the dictionary: the numbers that can match beside 0, where they are few. */
  readonly few: Array<Array<number> | undefined>
  /** By the number of the object, for events of which the namespace follows from it. */
  readonly implied: Uint8Array | undefined
  /** The numbers of the entry that says so. */
  readonly impliedNumbers = new Set<number>()
  private readonly plan: FilterPlan

  constructor(plan: FilterPlan, reader: IndexReader, depth: number, tail: Block.Block | undefined, scratch: Scratch) {
    const top = tail ?? reader.block(depth - 1)
    const list = (test: unknown, dictionary: number): Uint8Array | undefined => {
      if (test === undefined) return undefined
      const allowed = new Uint8Array(top.dictionarySize(dictionary) + 1)
      // Number 0: only the line tells.
      allowed[0] = 1
      return allowed
    }
    this.plan = plan
    this.allowed = plan.tests.map(list)
    this.implied = list(plan.implied, Block.DICTIONARY.object)
    // Whether a namespace can match depends on the object.
    this.few = plan.tests.map((test, dictionary) =>
      test === undefined || dictionary === Block.DICTIONARY.namespace ? undefined : []
    )
    if (plan.dictionaries === 0) return
    for (let one = 0; one < depth; one++) this.visitBlock(reader, reader.block(one), scratch)
    if (tail !== undefined) this.visitBlock(reader, tail, scratch)
  }

  private visitBlock(reader: IndexReader, block: Block.Block, scratch: Scratch): void {
    const { plan } = this
    const { length } = block.groupOf(Block.GROUP.dictionaries)
    if (length === 0) return
    const words = reader.group(block, Block.GROUP.dictionaries, scratch)
    const places = plan.placesOfNames(words.bytes.subarray(0, length))
    const skipped = places?.length === 0 ? 1 << Block.DICTIONARY.object : 0
    let next = 0
    Block.visitEntries(words, block, plan.dictionaries & ~skipped, (dictionary, id, start, end) => {
      if (dictionary === Block.DICTIONARY.object && places !== undefined) {
        while (places[next]! < start) next += 1
        if (!(places[next]! < end)) return
      }
      this.visit(words, dictionary, id, start, end)
    })
  }

  private visit({ bytes }: Words, dictionary: number, id: number, start: number, end: number): void {
    const { plan } = this
    if (dictionary === Block.DICTIONARY.namespace && start === end) {
      this.impliedNumbers.add(id)
      return
    }
    const test = plan.tests[dictionary]
    if (test !== undefined && test.of(bytes, start, end) === 1) {
      this.allowed[dictionary]![id] = 1
      const few = this.few[dictionary]
      if (few !== undefined && few.push(id) > FEW) this.few[dictionary] = undefined
    }
    if (dictionary === Block.DICTIONARY.object && plan.implied !== undefined) {
      this.implied![id] = plan.implied.of(bytes, start, end)
    }
  }
}
