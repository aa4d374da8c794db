import * as Contract from "@tidings/testing/Contract"
import * as LogBackend from "./fixtures/LogBackend.ts"

Contract.suite("a log of lines", LogBackend.layer(), {
  reopenable: LogBackend.reopenable(),
  other: LogBackend.layer(),
  forgetful: { layer: LogBackend.layer({ keep: 10 }), series: 10 }
})
