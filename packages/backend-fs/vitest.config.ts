import { defineConfig, mergeConfig } from "vitest/config"
import { inBoth, shared } from "../../vitest.shared.ts"

export default mergeConfig(
  mergeConfig(
    shared,
    inBoth(
      "test/Checksums.test.ts",
      "test/EventLog.model.test.ts",
      "test/FileJournal.test.ts",
      "test/FileJournal.crashes.test.ts",
      "test/Durability.simulation.test.ts",
      "test/LogIndex.model.test.ts",
      "test/LogIndex.test.ts",
      "test/Processes.test.ts"
    )
  ),
  defineConfig({ test: { name: "@tidings/backend-fs" } })
)
