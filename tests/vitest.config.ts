import { defineConfig, mergeConfig } from "vitest/config"
import { inBoth, shared } from "../vitest.shared.ts"

export default mergeConfig(
  mergeConfig(shared, inBoth("test/DiskDelivery.test.ts", "test/kubernetes/Double.test.ts")),
  defineConfig({ test: { name: "@tidings/tests" } })
)
