// The debugger that Pulumi's serializer asks about functions. While it is attached, it keeps all that it sees, slows everything
// down, and stops the process near the limit of memory; so it is attached only while the program runs.
import type { Session } from "node:inspector";

const v8Hooks: { getSessionAsync(): Promise<Session> } = require("@pulumi/pulumi/runtime/closure/v8Hooks");

// V8 forgets which lines were reached when a debugger leaves.
const stays = Boolean(process.env.COVERAGE);

/** Attaches and detaches it; Pulumi itself has it attached from the start. */
export const pulumisDebugger = v8Hooks.getSessionAsync().then((session) => {
    const attach = () => {
        session.connect();
        session.post("Debugger.enable");
    };
    const detach = () => session.disconnect();
    if (stays) {
        return { attach() {}, detach() {} };
    }
    detach();
    return { attach, detach };
});
