// Loaded before a file of tests: whatever program it makes has the fault that FAULT names.
import { seed } from "./mutations";

const { FAULT } = process.env;
const made: typeof import("../simulator/stack/program") = require("../simulator/stack/program");
const { runProgram } = made;
if (FAULT !== undefined) {
    Object.assign(made, {
        runProgram: async (options: Parameters<typeof runProgram>[0] = {}) =>
            seed(FAULT, await runProgram(options), options.config ?? {}),
    });
}
