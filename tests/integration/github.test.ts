// What a fork gets on GitHub: a workflow that runs .ci/run, and an update bot. Both files are held against the types that are made
// from their JSON schemas, by TypeScript's own checker.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import ts from "typescript";
import { parse } from "yaml";
import { root } from "../simulator/stack/program";

const files = {
    workflow: {
        path: ".github/workflows/ci.yml",
        module: "@schemastore/github-workflow",
        type: "HttpsJsonSchemastoreOrgGithubWorkflowJson",
    },
    dependabot: {
        path: ".github/dependabot.yml",
        module: "@schemastore/dependabot-2.0",
        type: "GitHubDependabotV2Config",
    },
};

const textOf = ({ path }: { path: string }) => readFileSync(join(root, path), "utf8");
const workflow = parse(textOf(files.workflow));
const dependabot = parse(textOf(files.dependabot));

/** What TypeScript's checker finds wrong with contents, each declared to be of its file's type. */
function errorsIn(contents: { of: keyof typeof files; content: unknown }[]): string[][] {
    const sources = new Map(
        contents.map(({ of, content }, index) => {
            const { module, type } = files[of];
            const text = `import type { ${type} } from "${module}";\nexport const content: ${type} = ${JSON.stringify(content)};`;
            return [join(__dirname, `content-${index}.ts`), text];
        }),
    );
    const options: ts.CompilerOptions = {
        strict: true,
        noEmit: true,
        types: [],
        module: ts.ModuleKind.NodeNext,
        moduleResolution: ts.ModuleResolutionKind.NodeNext,
        target: ts.ScriptTarget.ES2022,
    };
    const host = ts.createCompilerHost(options);
    const { getSourceFile, fileExists } = host;
    host.fileExists = (name) => sources.has(name) || fileExists(name);
    host.getSourceFile = (name, version, ...more) => {
        const text = sources.get(name);
        return text === undefined ? getSourceFile(name, version, ...more) : ts.createSourceFile(name, text, version);
    };
    const program = ts.createProgram([...sources.keys()], options, host);
    return [...sources.keys()].map((name) =>
        ts
            .getPreEmitDiagnostics(program, program.getSourceFile(name))
            .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")),
    );
}

describe("On GitHub", () => {
    it("both files have what their schemas demand, and mistakes in them are found", () => {
        const withMistake = (of: keyof typeof files, sound: string, mistake: string) => {
            expect(textOf(files[of])).to.contain(sound);
            return { of, content: parse(textOf(files[of]).replace(sound, mistake)) };
        };
        const [ofWorkflow, ofDependabot, ...ofMistakes] = errorsIn([
            { of: "workflow", content: workflow },
            { of: "dependabot", content: dependabot },
            withMistake("workflow", "runs-on:", "run-on:"),
            withMistake("workflow", "contents: read", "contents: reed"),
            withMistake("workflow", "pull_request:", "pull_requests:"),
            withMistake("workflow", "- run:", "- ran:"),
            withMistake("dependabot", "interval: weekly", "interval: weakly"),
            withMistake("dependabot", "ecosystem: npm", "ecosystem: nmp"),
            withMistake("dependabot", "version: 2", "version: 1"),
        ]);
        expect(ofWorkflow).to.deep.equal([]);
        expect(ofDependabot).to.deep.equal([]);
        for (const [index, errors] of ofMistakes.entries()) {
            expect(errors, `mistake ${index}`).to.have.length.above(0);
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
