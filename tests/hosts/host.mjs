import * as EventCatalogue from "@tidings/core/EventCatalogue"
import * as Rejection from "tidings/Rejection"
import * as Tidings from "tidings/Tidings"
import scenario from "./scenario.cjs"

await scenario.run({ EventCatalogue, Rejection, Tidings })
