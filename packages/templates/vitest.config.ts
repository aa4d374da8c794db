import { defineConfig, mergeConfig } from "vitest/config"
import { shared } from "../../vitest.shared.ts"

export default mergeConfig(
  shared,
  defineConfig({
    test: {
      name: "@tidings/templates",
      // These tests touch nothing outside of their own scopes, so files share a worker and its modules: a quarter less CPU time.
      isolate: false
    }
  })
)
