import { defineConfig, mergeConfig } from "vitest/config"
import { inBoth, shared } from "../../vitest.shared.ts"

export default mergeConfig(
  mergeConfig(shared, inBoth("test/Correlation.test.ts", "test/dataSize.test.ts")),
  defineConfig({
    test: {
      name: "@tidings/core",
      // These tests touch nothing outside of their own scopes, so files share a worker and its modules: a quarter less CPU time.
      isolate: false
    }
  })
)
