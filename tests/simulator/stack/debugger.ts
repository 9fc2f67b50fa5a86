// The debugger that Pulumi's serializer asks about functions, attached only while the program runs. As long as it is attached,
// it keeps all that it sees and slows everything down. Near the limit of memory it stops the process.
import type { Session } from "node:inspector";

const v8Hooks: { getSessionAsync(): Promise<Session> } = require("@pulumi/pulumi/runtime/closure/v8Hooks");

// V8 forgets which lines were reached when a debugger leaves.
const stays = Boolean(process.env.NODE_V8_COVERAGE);

/** Attaches and detaches it; Pulumi itself has it attached from the start. */
export const pulumisDebugger = v8Hooks.getSessionAsync().then((session) => {
    const detach = () => stays || session.disconnect();
    const attach = () => {
        if (!stays) {
            session.connect();
            session.post("Debugger.enable");
        }
    };
    detach();
    return { attach, detach };
});
