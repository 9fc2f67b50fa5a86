// mocha's own reporter, and in the end what was pending: such a test's title says what to install for it.
import { type MochaOptions, Runner, reporters, type Test } from "mocha";

class Reporter extends reporters.Spec {
    private readonly pending = new Set<string>();

    constructor(runner: Runner, options: MochaOptions) {
        super(runner, options);
        runner.on(Runner.constants.EVENT_TEST_PENDING, (test: Test) => this.pending.add(test.title));
    }

    override epilogue(): void {
        super.epilogue();
        if (this.pending.size > 0) {
            reporters.Base.consoleLog(["Not tried:", ...this.pending, ""].join("\n  "));
        }
    }
}

module.exports = Reporter;
