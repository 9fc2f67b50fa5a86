// What a fork gets on GitHub: a workflow that runs .ci/run, and an update bot. Both files are held against schemas of the part of
// GitHub's syntax that they use.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Ajv, { type ErrorObject } from "ajv";
import { expect } from "chai";
import { parse } from "yaml";
import { root } from "../simulator/stack/program";

const text = { type: "string" };
const object = (required: string[], properties: object) => ({
    type: "object",
    required,
    properties,
    additionalProperties: false,
});

const files = {
    // https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
    workflow: {
        path: ".github/workflows/ci.yml",
        schema: object(["on", "jobs"], {
            name: text,
            on: object([], { push: {}, pull_request: {}, workflow_dispatch: {} }),
            permissions: object([], { contents: { enum: ["read", "write", "none"] } }),
            concurrency: object(["group"], { group: text, "cancel-in-progress": { type: "boolean" } }),
            jobs: {
                type: "object",
                additionalProperties: object(["runs-on", "steps"], {
                    name: text,
                    "runs-on": text,
                    "timeout-minutes": { type: "number" },
                    strategy: { type: "object" },
                    steps: {
                        type: "array",
                        items: {
                            ...object([], { name: text, uses: text, run: text, with: { type: "object" } }),
                            oneOf: [{ required: ["uses"] }, { required: ["run"] }],
                        },
                    },
                }),
            },
        }),
    },
    // https://docs.github.com/en/code-security/dependabot/working-with-dependabot/dependabot-options-reference
    dependabot: {
        path: ".github/dependabot.yml",
        schema: object(["version", "updates"], {
            version: { const: 2 },
            updates: {
                type: "array",
                items: object(["package-ecosystem", "directory", "schedule"], {
                    "package-ecosystem": { enum: ["npm", "github-actions"] },
                    directory: text,
                    schedule: object(["interval"], { interval: { enum: ["daily", "weekly", "monthly"] } }),
                    groups: { type: "object" },
                    ignore: { type: "array" },
                }),
            },
        }),
    },
};

const textOf = ({ path }: { path: string }) => readFileSync(join(root, path), "utf8");
const workflow = parse(textOf(files.workflow));
const dependabot = parse(textOf(files.dependabot));

/** What a file's schema finds wrong with contents. */
function errorsIn(of: keyof typeof files, content: unknown): ErrorObject[] {
    const validate = new Ajv({ strict: false }).compile(files[of].schema);
    validate(content);
    return validate.errors ?? [];
}

describe("On GitHub", () => {
    it("both files have what their schemas demand, and mistakes in them are found", () => {
        expect(errorsIn("workflow", workflow)).to.deep.equal([]);
        expect(errorsIn("dependabot", dependabot)).to.deep.equal([]);
        const mistakes: [of: keyof typeof files, sound: string, mistake: string][] = [
            ["workflow", "runs-on:", "run-on:"],
            ["workflow", "contents: read", "contents: reed"],
            ["workflow", "pull_request:", "pull_requests:"],
            ["workflow", "- run:", "- ran:"],
            ["dependabot", "interval: weekly", "interval: weakly"],
            ["dependabot", "ecosystem: npm", "ecosystem: nmp"],
            ["dependabot", "version: 2", "version: 1"],
        ];
        for (const [of, sound, mistake] of mistakes) {
            expect(textOf(files[of])).to.contain(sound);
            expect(errorsIn(of, parse(textOf(files[of]).replace(sound, mistake))), mistake).to.have.length.above(0);
        }
    });

    it("the workflow runs .ci/run on every Node.js that the program supports, may only read, and knows no secret", () => {
        expect(workflow.permissions).to.deep.equal({ contents: "read" });
        const [job, ...others] = Object.values<{
            permissions?: unknown;
            strategy: { matrix: { node: number[] } };
            steps: { uses?: string; run?: string; with?: Record<string, string> }[];
        }>(workflow.jobs);
        expect(others).to.deep.equal([]);
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
        expect(textOf(files.workflow)).to.not.match(/secrets\.|AWS_|id-token/);
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
