/**
 * `parked`: what the backends of a host rejected, read by another process than the host.
 *
 * @internal
 */
import * as Command from "effect/cli/Command"
import { examples } from "./examples.ts"
import { parkedDrop, parkedRetry } from "./parkedAsk.ts"
import { list, parkedList } from "./parkedList.ts"
import * as parking from "./parking.ts"
import * as session from "./session.ts"

/** @internal */
export const parked = () =>
  parking.base.pipe(
    Command.withHandler((given) => list(given).pipe(session.verb("parked"))),
    Command.withDescription(
      "Show what the recorder of a host has parked: events that its backend rejected (other queues call them dead " +
        "letters). They are kept until an operator retries or drops them. Works whether the host runs or not."
    ),
    Command.withShortDescription("Show, retry and drop the events that a host has parked"),
    examples("", "retry 0123456789abcdef0123456789abcdef.7", "drop --all --journal /var/lib/my-host/journal"),
    Command.withSubcommands([parkedList, parkedRetry, parkedDrop])
  )
