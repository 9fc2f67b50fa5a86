// What a fork gets on GitHub: a workflow that runs .ci/run, and an update bot.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { parse } from "yaml";
import { only } from "../simulator/lists";
import { root } from "../simulator/stack/program";

const textOf = (path: string) => readFileSync(join(root, ".github", path), "utf8");
const workflow = parse(textOf("workflows/ci.yml"));
const dependabot = parse(textOf("dependabot.yml"));

interface Job {
    permissions?: unknown;
    strategy: { matrix: { node: number[] } };
    steps: { uses?: string; run?: string; with?: Record<string, string> }[];
}

describe("On GitHub", () => {
    it("the workflow runs .ci/run on every Node.js that the program supports, may only read, and knows no secret", () => {
        expect(workflow.permissions).to.deep.equal({ contents: "read" });
        const job = only(Object.values<Job>(workflow.jobs));
        expect(job.permissions).to.equal(undefined);
        expect(job.strategy.matrix.node).to.deep.equal([20, 22, 24]);
        const actions = job.steps.filter(({ uses }) => uses);
        const setup = actions.find(({ uses }) => uses?.startsWith("actions/setup-node@"));
        // biome-ignore lint/suspicious/noTemplateCurlyInString: GitHub's own expression
        expect(setup?.with?.["node-version"]).to.equal("${{ matrix.node }}");
        expect(job.steps.flatMap(({ run }) => run ?? [])).to.deep.equal(["bash .ci/run"]);
        for (const { uses } of actions) {
            expect(uses).to.match(/^actions\/[\w-]+@v\d+$/);
        }
        expect(textOf("workflows/ci.yml")).to.not.match(/secrets\.|AWS_|id-token/);
    });

    it("the update bot looks after npm packages and actions", () => {
        const weekly = { directory: "/", schedule: { interval: "weekly" } };
        expect(dependabot.updates).to.have.length(2);
        for (const [place, ecosystem] of ["npm", "github-actions"].entries()) {
            expect(dependabot.updates[place]).to.deep.include({ "package-ecosystem": ecosystem, ...weekly });
        }
    });
});
