// What could not be tried on this machine: one pending test for each tool that is missing.
import { nameMissing, tools } from "./tools";

describe("The tools of the tests", () => {
    for (const tool of tools) {
        nameMissing(tool);
    }
});
