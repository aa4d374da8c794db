import { defineConfig, mergeConfig } from "vitest/config"
import { shared } from "../vitest.shared.ts"

// The tests that need a real API server. They share one machine, and each file starts a cluster of its own.
const config = mergeConfig(
  shared,
  defineConfig({
    test: {
      name: "@tidings/tests on a cluster",
      fileParallelism: false,
      testTimeout: 60_000,
      hookTimeout: 600_000
    }
  })
)

export default { ...config, test: { ...config.test, include: ["cluster/*.cluster.ts"] } }
