import { defineConfig, mergeConfig } from "vitest/config"
import { inBoth, shared } from "../../vitest.shared.ts"

export default mergeConfig(
  mergeConfig(shared, inBoth("test/Delivery.test.ts")),
  defineConfig({
    test: {
      name: "@tidings/testing",
      // These tests touch nothing outside of their own scopes, so files share a worker and its modules: a quarter less CPU time.
      isolate: false
    }
  })
)
