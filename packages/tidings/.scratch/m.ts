import * as Cli from "tidings/Cli"
import * as Backend from "@tidings/core/Backend"
Cli.run(Backend.layerMemory(), { name: "mem", version: "1.0.0" })
