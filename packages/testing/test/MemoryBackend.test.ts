import * as Backend from "@tidings/core/Backend"
import * as Contract from "@tidings/testing/Contract"

Contract.suite("memory", Backend.layerMemory(), {
  other: Backend.layerMemory(),
  forgetful: { layer: Backend.layerMemory({ capacity: 8 }), series: 8 }
})
