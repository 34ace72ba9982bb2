import { runScenario } from "./scenario.ts";
import { ROOT } from "../scripts/set_up.ts";
const r = await runScenario({driver: Deno.args[2]==="real"?"QEMU guests":"test driver", instances: Number(Deno.args[0]), rounds: Number(Deno.args[1])}, `${ROOT}/.cache/baseline/release/libvirt_baseline`);
console.log(r.instances, r.memory); console.table(r.ways);
Deno.exit();
