// The packaged function under AWS's own Lambda runtime client on the Node.js that it is deployed for, with the project's SDK and
// those that Lambda has brought: the oldest, that of the current base image, and the newest. Part of `npm run proof`; needs the
// npm registry.
import { rmSync } from "node:fs";
import { expect } from "chai";
import { runProgram } from "../../simulator/stack/program";
import { install, nodeIn, nodePackage } from "../npm";
import { behavesInLambda } from "./behaviour";
import { Lambda } from "./lambda";

const sdkClients = ["auto-scaling", "cloudwatch", "ec2"];
const folders: string[] = [];

async function installed(...packages: string[]): Promise<string> {
    const folder = await install(...packages);
    folders.push(folder);
    return folder;
}

after(() => {
    for (const folder of folders) {
        rmSync(folder, { recursive: true, force: true });
    }
});

let runtime: { node: string; client: string };
before(async () => {
    const client = await installed("aws-lambda-ric@4.0.2", nodePackage("24"));
    runtime = { node: nodeIn(client), client };
});

describe("The runtime client of these tests", () => {
    let lambda: Lambda | undefined;
    afterEach(() => lambda?.stop());

    /** The error that the environment can't start for, with this text in the function's file. */
    async function initErrorOf(text: string): Promise<string> {
        const awsUrl = "http://127.0.0.1:9"; // nothing listens there
        lambda = await Lambda.start({ program: await runProgram(), awsUrl, ...runtime }, text);
        return lambda.initError();
    }

    it("refuses a handler that takes a callback, as Node.js 24 in Lambda does", async () => {
        const text = "exports.handler = (event, context, callback) => callback(null, event);";
        expect(await initErrorOf(text)).to.contain("Runtime.CallbackHandlerDeprecated");
    });

    it("finds no package of the project but the SDK", async () => {
        expect(await initErrorOf('require("yaml");')).to.contain("Cannot find module 'yaml'");
    });
});

describe("On Node.js 24 with the project's SDK the packaged function", () => {
    behavesInLambda(() => runtime);
});

// nodejs24.x began with 3.943; the base image of 2026 has 3.1105.
for (const [which, version] of [
    ["the first SDK", "3.943.0"],
    ["the base image's SDK", "3.1105.0"],
    ["the newest SDK", "latest"],
]) {
    describe(`On Node.js 24 with ${which} of that runtime, ${version}, the packaged function`, () => {
        let sdk = "";
        before(async () => {
            sdk = await installed(...sdkClients.map((client) => `@aws-sdk/client-${client}@${version}`));
        });
        behavesInLambda(() => ({ ...runtime, sdk }));
    });
}
