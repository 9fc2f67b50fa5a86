// The packaged function under AWS's own Lambda runtime client on the Node.js that it is deployed for, with the SDKs that Lambda
// has brought: the oldest, that of the current base image, and the newest. Part of `npm run proof`; needs the npm registry.
import { rmSync } from "node:fs";
import { install, nodeIn, nodePackage } from "../npm";
import { behavesInLambda } from "./behaviour";

const clients = ["auto-scaling", "cloudwatch", "ec2"];
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

let node = "";
before(async () => {
    node = nodeIn(await installed(nodePackage("24")));
});

describe("On Node.js 24 with the project's SDK the packaged function", () => {
    behavesInLambda(() => ({ node }), true);
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
            sdk = await installed(...clients.map((client) => `@aws-sdk/client-${client}@${version}`));
        });
        behavesInLambda(() => ({ node, sdk }), true);
    });
}
