import { setImmediate } from "node:timers";

/** How many turns other work gets on the event loop until an action has ended. */
export async function turnsDuring(action: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const work = (): void => {
    turns += 1;
    if (!isDone) setImmediate(work);
  };
  setImmediate(work);
  await action();
  isDone = true;
  return turns;
}
