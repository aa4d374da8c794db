import { assert, describe, it } from "@effect/vitest"
import * as access from "../src/internal/access.ts"
import { type Disk, type FileStatus, node } from "../src/internal/disk.ts"

const HOST = 4_001
const SIDECAR = 4_002
const GROUP = 5_000
const OTHER_GROUP = 5_001

const directory = (permissions: number, owner: number, group = GROUP): FileStatus => ({
  kind: "directory",
  size: 0,
  identity: "1:1",
  links: 2,
  owner,
  group,
  permissions,
  made: 0,
  modified: 0
})

const as = (user: number, groups: ReadonlyArray<number> = [GROUP], isInPod = false): Disk => ({
  ...node,
  user,
  groups,
  isInPod
})

const problem = (disk: Disk, status: FileStatus, use: access.Use) =>
  access.problemOf(disk, "/data/log", status, use, "log")

describe("who may use a directory", () => {
  const cases: ReadonlyArray<
    readonly [name: string, disk: Disk, status: FileStatus, read: RegExp | undefined, write: RegExp | undefined]
  > = [
    ["one of this user alone", as(HOST), directory(0o700, HOST), undefined, undefined],
    ["one of this user that its group may write", as(HOST), directory(0o2770, HOST), undefined, undefined],
    ["one of this user that a umask of 002 made", as(HOST), directory(0o775, HOST), undefined, undefined],
    ["a volume of root with fsGroup", as(HOST), directory(0o2775, 0), undefined, undefined],
    ["a volume of root that only its group may use", as(HOST), directory(0o2770, 0), undefined, undefined],
    ["one of this user that everybody may read", as(HOST), directory(0o755, HOST), undefined, undefined],
    ["a sticky one of root that everybody may write", as(HOST), directory(0o1777, 0), undefined, undefined],
    [
      "one that everybody may write",
      as(HOST),
      directory(0o777, HOST),
      /writable by everybody/,
      /writable by everybody/
    ],
    ["one of root that everybody may write", as(HOST), directory(0o2777, 0), /by everybody/, /by everybody/],
    ["an emptyDir in a pod", as(HOST, [GROUP], true), directory(0o2777, 0), undefined, undefined],
    [
      "one that everybody may write and a stranger owns, in a pod",
      as(HOST, [GROUP], true),
      directory(0o2777, SIDECAR, OTHER_GROUP),
      /belongs to user 4002/,
      /belongs to user 4002/
    ],
    ["one of a stranger", as(HOST), directory(0o755, SIDECAR, OTHER_GROUP), /belongs to user/, /belongs to user/],
    ["one of another member of the group", as(SIDECAR), directory(0o2770, HOST), undefined, /may only read it/],
    ["one of a user, for root", as(0, [0]), directory(0o700, HOST), undefined, /may only read it/],
    ["any, where the system knows no users", { ...node, user: undefined }, directory(0o777, HOST), undefined, undefined]
  ]
  for (const [name, disk, status, read, write] of cases) {
    it(name, () => {
      for (const [use, expected] of [
        ["read", read],
        ["write", write]
      ] as const) {
        const found = problem(disk, status, use)
        if (expected === undefined) assert.isUndefined(found, use)
        else assert.match(found ?? "", expected, use)
      }
    })
  }

  it("a refusal names the directory, the command to run and the option of the log", () => {
    assert.match(
      problem(as(HOST), directory(0o777, HOST), "write")!,
      /chmod o-w \/data\/log, or choose a directory inside it, or choose another directory \(TIDINGS_DIRECTORY\)$/
    )
    assert.match(
      problem(as(HOST), directory(0o755, SIDECAR, OTHER_GROUP), "write")!,
      /chown 4001 \/data\/log, or choose another directory \(TIDINGS_DIRECTORY\)$/
    )
  })

  it("a refusal of a journal never advises another directory, in which its entries would not be found", () => {
    const found = access.problemOf(as(HOST), "/data/journal", directory(0o777, HOST), "write", "journal")
    assert.match(found!, /change the journal: chmod o-w \/data\/journal, or choose a directory inside it$/)
  })
})
