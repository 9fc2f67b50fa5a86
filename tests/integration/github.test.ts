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

describe("On GitHub", () => {
    it("the workflow runs .ci/run on every Node.js that the program supports, may only read, and knows no secret", () => {
        expect(workflow.permissions).to.deep.equal({ contents: "read" });
        const job = only(
            Object.values<{
                permissions?: unknown;
                strategy: { matrix: { node: number[] } };
                steps: { uses?: string; run?: string; with?: Record<string, string> }[];
            }>(workflow.jobs),
        );
        expect(job.permissions).to.equal(undefined);
        expect(job.strategy.matrix.node).to.deep.equal([20, 22, 24]);
        expect(job.steps.find(({ uses }) => uses?.startsWith("actions/setup-node@"))?.with?.["node-version"]).to.equal(
            // biome-ignore lint/suspicious/noTemplateCurlyInString: GitHub's own expression
            "${{ matrix.node }}",
        );
        expect(job.steps.flatMap(({ run }) => run ?? [])).to.deep.equal(["bash .ci/run"]);
        for (const { uses } of job.steps.filter((step) => step.uses)) {
            expect(uses).to.match(/^actions\/[\w-]+@v\d+$/);
        }
        expect(textOf("workflows/ci.yml")).to.not.match(/secrets\.|AWS_|id-token/);
    });

    it("the update bot looks after npm packages and actions", () => {
        const updates: { "package-ecosystem": string; directory: string; schedule: object }[] = dependabot.updates;
        expect(updates.map((update) => update["package-ecosystem"])).to.have.members(["npm", "github-actions"]);
        for (const { directory, schedule } of updates) {
            expect(directory).to.equal("/");
            expect(schedule).to.deep.equal({ interval: "weekly" });
        }
    });
});
