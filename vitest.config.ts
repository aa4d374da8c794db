import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    projects: ["packages/*", "examples/custom-backend", "examples/mcp-supervisor", "examples/testing", "tests"]
  }
})
